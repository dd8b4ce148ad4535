"""What a law is: inputs with units, parameters with meaning, one function that is the formula.

A law is written once. The same ``expected`` runs on NumPy arrays, on xarray and on PyTensor
variables, so the model's mean, the prediction and the test's oracle are one piece of code (keep to
``+ - * / **`` and `bayeslaw.laws.ops`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from bayeslaw.errors import SpecError
from bayeslaw.laws import ops
from bayeslaw.priors import Prior, lognormal

Scale = Literal["log", "linear", "logit"]
Support = Literal["positive", "real", "unit"]


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a law: what a run was given.

    ``low`` is the excluded lower end of the domain. Values outside ``plausible`` are allowed and
    get a warning: they are mostly a column in billions. The effect of every input is modelled on
    its logarithm.
    """

    unit: str
    meaning: str
    plausible: tuple[float, float]
    low: float = 0.0
    #: The value in rows that have none of this input. It is left out of the table's centre.
    none: float | None = None
    #: The column that says what this input is, and so its unit. Each value of that column has a
    #: centre of its own.
    selector: str = ""
    #: Units in which people log it, by name: the factors to its unit.
    other_units: tuple[tuple[str, float], ...] = ()

    def present(self, x: Any) -> Any:
        """The values of the rows that have some of this input."""
        return x if self.none is None else x[x != self.none]

    def written(self, x: Any) -> Any:
        """A column as people write it: 0 in the rows that have none of this input."""
        return x if self.none is None else x.where(x != self.none, 0.0)


@dataclass(frozen=True, slots=True)
class Response:
    """What a run gave. ``scale`` is where noise is additive: log for losses, linear for scores,
    logit for rates.

    Values outside ``usual`` are allowed and get a warning: they are mostly in another unit. None:
    the unit is the table's own, or the scale bounds the values.
    """

    name: str
    unit: str
    scale: Scale
    #: Prior-predictive range within a decade of the table's centre, in units of the table's typical
    #: response.
    plausible: tuple[float, float]
    #: Whether a higher one is better. None: it is, unless the scale is the logarithm, as of a loss.
    higher_is_better: bool | None = None
    usual: tuple[float, float] | None = None

    @property
    def link(self) -> Link:
        return LINKS[self.scale]

    @property
    def lower_is_better(self) -> bool:
        """Whether the lower is the better, as of a loss: scores and rates are better high."""
        if self.higher_is_better is None:
            return self.scale == "log"
        return not self.higher_is_better


@dataclass(frozen=True, slots=True)
class Link:
    """A scale, its way back, and its slope, for any kind of array."""

    forward: Callable[[Any], Any]
    inverse: Callable[[Any], Any]
    slope: Callable[[Any], Any]


LINKS: Mapping[str, Link] = {
    "log": Link(ops.log, ops.exp, lambda x: 1 / x),
    "linear": Link(lambda x: x, lambda x: x, lambda x: 1.0 + 0 * x),
    "logit": Link(ops.logit, ops.sigmoid, lambda p: 1 / (p * (1 - p))),
}
#: The unconstrained scale of a parameter, where effects add up.
SUPPORT_LINKS: Mapping[Support, Link] = {
    "positive": LINKS["log"],
    "real": LINKS["linear"],
    "unit": LINKS["logit"],
}


@dataclass(frozen=True, slots=True)
class Axis:
    """What makes two points of a curve near each other: a transform of the input that the curve
    runs along, and its way back.
    """

    forward: Callable[[Any], Any]
    inverse: Callable[[Any], Any]
    #: Prior of the distance over which neighbouring points have errors in common.
    near: Prior
    #: The place where every curve is known to follow its law exactly, if there is one.
    origin: float | None = None

    def in_units_of(self, unit: float) -> Axis:
        """The same axis with another unit of length."""
        return Axis(
            lambda x: self.forward(x) / unit,
            lambda t: self.inverse(t * unit),
            self.near,
            self.origin,
        )


DECADES = Axis(lambda x: ops.log(x) / np.log(10.0), lambda t: 10**t, near=lognormal(0.1, 0.7))
#: From neighbouring steps of a run to most of a best-of-n curve.
SQUARE_ROOT = Axis(ops.sqrt, lambda t: t**2, near=lognormal(0.5, 1.0), origin=0.0)


@dataclass(frozen=True, slots=True)
class Switch:
    """A column of a table with two values, which the formula takes as 0 and 1."""

    column: str
    off: str
    on: str


def scale_of_groups(median: float) -> Prior:
    """The prior of a group effect's standard deviation: a LogNormal, within a factor 2.7 of its
    median for 90 %.

    It keeps off zero, where the sampler meets a funnel and a few groups cannot contradict "no
    difference at all" (Chung et al. 2013, Psychometrika 78(4)); the price is bands a little too
    wide where groups are in truth the same.
    """
    return lognormal(median, 0.6)


#: Pieces that many laws share: what is sampled at the centre.
LOSS_AT_CENTRE = "loss at the table's centre"
SHARE_AT_CENTRE = "irreducible share of the loss at the table's centre"


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a law.

    ``at_centre``, where it is not empty, says what is sampled in the parameter's place: its
    counterpart at the table's centre (the geometric mean of each input), named
    ``<parameter>_at_centre``. For ``A`` of a power law that is the loss there, for its exponent the
    slope of the log loss there, for ``E`` the irreducible share of that loss. A person can picture
    these, so priors are on them; and the data determine them one by one, where A and its exponent
    have correlation .999 (Besiroglu et al. 2024) and a sampler needs ten times the steps.
    ``prior``, ``support`` and ``group_scale`` are those of what is sampled. `Law.from_centre` is
    the way back.
    """

    symbol: str
    meaning: str
    prior: Prior
    support: Support = "positive"
    at_centre: str = ""
    #: Prior of the standard deviation of its group effects, on the unconstrained scale of what is
    #: sampled.
    group_scale: Prior = scale_of_groups(0.2)
    #: Whether groups differ in it unless the user says otherwise.
    varies: bool = True
    #: Columns whose groups have it in common unless the user says otherwise.
    shared_over: tuple[str, ...] = ()
    #: Inputs whose settings, each on its own, deviate in it from the law unless the user says
    #: otherwise.
    deviates_by: tuple[str, ...] = ()

    @property
    def link(self) -> Link:
        return SUPPORT_LINKS[self.support]

    @property
    def is_level(self) -> bool:
        """Whether it is the loss at the table's centre."""
        return self.at_centre == LOSS_AT_CENTRE


@dataclass(frozen=True, slots=True)
class At:
    """A quantity at given inputs: its meaning, and those arguments of the formula."""

    meaning: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """A promise about the formula: as these inputs go to ``to``, the response goes to
    ``value(params)``.
    """

    inputs: tuple[str, ...]
    to: Literal["infinity", "zero"]
    value: Callable[[Mapping[str, Any]], Any]


class Law(ABC):
    """A scaling law: subclass, give the formula as ``expected`` and describe its inputs and
    parameters.

    A subclass is a frozen dataclass; its fields, if any, are the law's options (such as
    ``factor``). ``inputs`` and ``params`` are keyed by the formula's argument names; ``columns``
    says where a table has an argument under another name. Every method named in ``quantities`` is a
    closed form over the parameters.
    """

    name: ClassVar[str]
    formula: ClassVar[str]
    source: ClassVar[str]
    response: ClassVar[Response]
    params: ClassVar[Mapping[str, Param]]
    #: quantity -> its meaning; each is a method of the parameters, a closed form.
    quantities: ClassVar[Mapping[str, str]] = {}
    #: The same for quantities at some of the inputs: each is a method of these and of the
    #: parameters.
    quantities_at: ClassVar[Mapping[str, At]] = {}
    #: argument -> the column whose value switches it on or off.
    switches: ClassVar[Mapping[str, Switch]] = {}
    #: option -> its values; `ANY_COLUMN` stands for every other column of a table.
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    #: argument -> "decreasing" or "increasing" response.
    monotone: ClassVar[Mapping[str, str]] = {}
    limits: ClassVar[tuple[Limit, ...]] = ()
    #: The default discrepancy of a spec for this law, as `bayeslaw.spec.discrepancy.Discrepancy.of`
    #: reads it: "curve" if runs are points logged along curves. benchmarks/README.md has the
    #: choices, and the backtests behind them.
    discrepancy: ClassVar[str | Mapping[str, Any]] = "none"
    #: How a discrepancy along curves measures distance.
    axis: ClassVar[Axis] = DECADES

    @property
    @abstractmethod
    def arguments(self) -> Mapping[str, Input]:
        """The inputs by the formula's argument names."""

    @staticmethod
    @abstractmethod
    def expected(**arguments: Any) -> Any:
        """The formula: response at inputs and parameters, all keyword arguments, any one kind of
        array.
        """

    def axis_unit(self, centre: Mapping[str, Any]) -> float:
        """The length of one unit of `axis` for a table with this centre; priors of a discrepancy
        are in this unit.

        It is 1 where the axis is in decades, which are the same in every unit of the input.
        """
        return 1.0

    @property
    def columns(self) -> Mapping[str, str]:
        """argument -> column of a table of runs, for arguments whose column has another name."""
        return {}

    @property
    def inputs(self) -> dict[str, Input]:
        """The inputs by their canonical column names."""
        return {self.columns.get(name, name): spec for name, spec in self.arguments.items()}

    @property
    def selector_columns(self) -> tuple[str, ...]:
        """Columns beside inputs and response that a table must have: those that switch the form,
        and those that select what an input is."""
        switches = [switch.column for switch in self.switches.values()]
        selectors = [spec.selector for spec in self.inputs.values() if spec.selector]
        return tuple(dict.fromkeys([*switches, *selectors]))

    def given(self, table: Any) -> dict[str, Any]:
        """What `evaluate` takes as inputs, from a table: the inputs by column name, the switches by
        argument's name, each (row,).
        """
        inputs = {name: table[name].to_numpy(float) for name in self.inputs}
        return inputs | {
            name: (table[switch.column] == switch.on).to_numpy(float)
            for name, switch in self.switches.items()
        }

    def value(self, quantity: str, **arguments: Any) -> Any:
        """A quantity of the law, from its parameters, and from inputs where it needs them."""
        return getattr(self, quantity)(**arguments)

    def evaluate(self, inputs: Mapping[str, Any], params: Mapping[str, Any]) -> Any:
        """`expected`, with the inputs given by column name, and switches by their argument's."""
        arguments = {name: inputs[self.columns.get(name, name)] for name in self.arguments} | {
            name: inputs[name] for name in self.switches
        }
        return self.expected(**arguments, **{name: params[name] for name in self.params})

    @staticmethod
    def optimal_size(*, product: Any, **params: Any) -> Any:
        """The model size of the least loss where model_size times data_size is ``product``; None
        where there is no closed form.
        """
        return None

    @staticmethod
    def tie(
        *, over: str, first: Mapping[str, Any], second: Mapping[str, Any], **inputs: Any
    ) -> Any:
        """Where along the argument ``over`` two sets of parameters of one E give one response; None
        where there is no closed form.
        """
        return None

    @staticmethod
    def at_centre(**arguments: Any) -> dict[str, Any]:
        """The paper's parameters from what is sampled at the centre; overridden by laws with such
        parameters.

        Takes the centre of each input by its argument's name, and what is sampled by its
        parameter's name.
        """
        return {}

    def from_centre(self, params: Mapping[str, Any], centre: Mapping[str, Any]) -> dict[str, Any]:
        """The paper's parameters from those sampled (see `Param.at_centre`); ``centre`` is keyed by
        column name.
        """
        arguments = {name: centre[self.columns.get(name, name)] for name in self.arguments}
        return {
            **params,
            **self.at_centre(**arguments, **{name: params[name] for name in self.params}),
        }

    def in_units_of_centre(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The paper's parameters from those sampled, with each input measured in units of the
        table's centre.

        There ``x^alpha`` stays near one where, in tokens, an exponent that a sampler may try
        overflows. Laws without parameters at the centre keep the inputs' own units.
        """
        return self.from_centre(params, dict.fromkeys(self.inputs, 1.0))

    def at_centred(
        self, inputs: Mapping[str, Any], params: Mapping[str, Any], centre: Mapping[str, Any]
    ) -> Any:
        """The response at ``inputs``, from the parameters `in_units_of_centre`."""
        centred = any(param.at_centre for param in self.params.values())
        return self.evaluate(
            {
                name: x / centre[name] if centred and name in centre else x
                for name, x in inputs.items()
            },
            params,
        )

    def discrepancy_inputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What a discrepancy over a grid runs along: each input, unless the law is known to fail
        along something else.
        """
        return dict(inputs)

    def joint_inputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The quantities whose decades beyond the runs add up to the distance of all inputs
        together: each input, unless one is a part of another.
        """
        return {name: inputs[name] for name in self.inputs}

    def to_json(self) -> dict[str, Any]:
        """The law as plain data: its name and options."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]

    def option_of(self, column: str) -> str:
        """The option that made a column an input; "" if none did."""
        return next((name for name in self.choices if getattr(self, name) == column), "")

    def check_option(self, option: str, value: str, known: Collection[str]) -> None:
        """Raise SpecError unless ``value`` is one of ``known``."""
        if value not in known:
            raise SpecError(
                f"{self.name}: {option} is {value!r}, and it must be one of {', '.join(known)}."
            )


#: The unit of a column that a law takes as it is.
OWN_UNIT = "the table's unit"
#: What stands among an option's choices for all other columns.
ANY_COLUMN = "any other column with a name of letters, digits and '_'"
#: In rows with none of an input, what stands for 0, which has no logarithm. At exponents that
#: curves have, laws are here what they are at 0.
NONE = 1e-100

MILLIONS, BILLIONS, TRILLIONS = ("millions", 1e6), ("billions", 1e9), ("trillions", 1e12)
OF_TOKENS = (BILLIONS, TRILLIONS, MILLIONS)

#: The canonical inputs: one name, one unit, everywhere.
INPUTS: Mapping[str, Input] = {
    "model_size": Input(
        "parameters",
        "number of parameters of the model",
        (1e4, 1e14),
        other_units=(BILLIONS, MILLIONS),
    ),
    "data_size": Input(
        "tokens or examples", "training data seen", (1e2, 1e16), other_units=OF_TOKENS
    ),
    "unique_data": Input(
        "tokens",
        "training tokens that differ from each other; the rest are repeats",
        (1e2, 1e16),
        other_units=OF_TOKENS,
    ),
    "pretraining_data": Input(
        "tokens", "pretraining data seen by the base model", (1e6, 1e15), other_units=OF_TOKENS
    ),
    "finetuning_data": Input(
        "examples",
        "finetuning examples",
        (1e1, 1e11),
        other_units=(("thousands", 1e3), MILLIONS),
    ),
    "factor_size": Input(
        "the factor's unit",
        "size of what the column factor names, such as model_size in parameters",
        (1.0, 1e15),
        selector="factor",
    ),
    "pet_size": Input(
        "prompt tokens or rank",
        "size of the parameter-efficient module: prompt length or LoRA rank",
        (1.0, 1e5),
    ),
    "compute": Input(
        "FLOP",
        "training compute",
        (1e8, 1e30),
        other_units=(
            ("exaFLOP", 1e18),
            ("zettaFLOP", 1e21),
            ("petaFLOP/s-days", 8.64e19),
        ),
    ),
    "gpu_hours": Input("GPU-hours", "accelerator time", (1e-2, 1e9)),
    "learning_rate": Input(
        "per step", "peak learning rate", (1e-7, 1.0), other_units=(("units of 1e-4", 1e-4),)
    ),
    "batch_size": Input(
        "tokens",
        "tokens of one optimiser step",
        (1e3, 1e9),
        other_units=(("sequences of 2,048 tokens", 2048.0), MILLIONS),
    ),
    "step": Input("steps", "optimiser steps", (1.0, 1e9), other_units=(("thousands", 1e3),)),
    "kl": Input(
        "nats per sequence",
        "KL divergence of the policy from the initial one",
        (1e-6, 1e4),
        none=1e-30,
    ),
    "rounds": Input(
        "rounds", "rounds of RLHF, each against a reward model trained anew", (1.0, 100.0)
    ),
}


def slope_at_centre(of: str) -> str:
    """What is sampled in place of the exponent of an input."""
    return f"-d log loss / d log {of} at the table's centre"
