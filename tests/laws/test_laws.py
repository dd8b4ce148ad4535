"""The contract of a law, held against every registered law and each of its options; golden values;
the registry; `ops`.

A law that needs an entry in a table here (an oracle of a quantity, the candidates of an option, a
check of an ``at_centre`` text) and has none fails: nothing is skipped.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.special
import xarray as xr
from helpers import once
from scipy import optimize, stats

from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.laws import Input, Law, Limit, Param, Response, law, laws, ops, register, registry
from bayeslaw.laws.base import INPUTS
from bayeslaw.laws.pretraining import effective, optimal_size
from bayeslaw.laws.tuning import bowl
from bayeslaw.priors import Prior, lognormal
from bayeslaw.spec.resolve import CHECKPOINT_SCALE, COEFFICIENT
from bayeslaw.spec.spec import ModelSpec

Values = Mapping[str, Any]

#: option of a law -> what to try; the law must accept two of them at least, and refuses the others
#: by SpecError.
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "alpha_at": ("centre", "nat"),
    "factor": tuple(INPUTS),
    "input": (*INPUTS, "draft_length"),
    "of": ("model_scale", *INPUTS),
}
#: Where a limit "to infinity" or "to zero" is looked at: exponents go down to .03, and 1e300^.03 is
#: 1e9.
FAR = 1e300


def options_of(cls: type[Law]) -> list[str]:
    return [field.name for field in fields(cls)]


def with_each_option(cls: type[Law]) -> Iterator[Law]:
    """The law as it comes, then with each value that each of its options accepts."""
    found = [cls()]
    for option in options_of(cls):
        for value in OPTIONS.get(option, ()):
            try:
                found.append(cls(**{option: value}))
            except SpecError:
                continue
    yield from dict.fromkeys(found)


LAWS = [one for cls in laws().values() for one in with_each_option(cls)]
every_law = pytest.mark.parametrize(
    "one", LAWS, ids=lambda one: "-".join(map(str, one.to_json().values()))
)
every_name = pytest.mark.parametrize("name", laws())


# ---- Parameters and inputs to try a law on


@dataclass(frozen=True)
class Pinned:
    """A parameter pinned by its prior, with as much of SciPy's face as is used here."""

    value: float

    def ppf(self, q: Any) -> Any:
        return np.full(np.shape(q), self.value)

    def rvs(self, size: int, random_state: Any) -> np.ndarray:
        return np.full(size, self.value)

    def support(self) -> tuple[float, float]:
        return self.value, self.value


def distribution(prior: Prior) -> Any:
    """The prior in SciPy, for a typical response of 1, from PyMC's definitions."""
    match prior.distribution, dict(prior.parameters):
        case "Normal", {"mu": mu, "sigma": sigma}:
            return stats.norm(mu, sigma)
        case "StudentT", {"nu": nu, "mu": mu, "sigma": sigma}:
            return stats.t(nu, mu, sigma)
        case "LogNormal", {"mu": mu, "sigma": sigma}:
            return stats.lognorm(sigma, scale=math.exp(mu))
        case "HalfNormal", {"sigma": sigma}:
            return stats.halfnorm(scale=sigma)
        case "Gamma", {"mu": mu, "sigma": sigma}:
            return stats.gamma((mu / sigma) ** 2, scale=sigma**2 / mu)
        case "Beta", {"alpha": alpha, "beta": beta}:
            return stats.beta(alpha, beta)
        case "Uniform", {"lower": lower, "upper": upper}:
            return stats.uniform(lower, upper - lower)
        case "Constant", {"value": value}:
            return Pinned(value)
    raise NotImplementedError(f"The tests do not know the prior {prior}.")


def generator(one: Law) -> np.random.Generator:
    """Seeded by the law: adding a law changes no other law's numbers."""
    return np.random.default_rng(zlib.crc32(json.dumps(one.to_json()).encode()))


def sampled(one: Law, quantiles: tuple[float, float], size: int) -> dict[str, np.ndarray]:
    """What is sampled at the centre, drawn between two quantiles of each prior."""
    rng = generator(one)
    return {
        name: distribution(p.prior).ppf(rng.uniform(*quantiles, size))
        for name, p in one.params.items()
    }


def centre_of(one: Law) -> dict[str, float]:
    """The centre of each input's plausible domain, switches on."""
    return {
        name: math.sqrt(spec.plausible[0] * spec.plausible[1]) for name, spec in one.inputs.items()
    } | dict.fromkeys(one.switches, 1.0)


def parameters(
    one: Law, quantiles: tuple[float, float] = (0.1, 0.9), size: int = 40
) -> dict[str, np.ndarray]:
    """The paper's parameters, from `sampled`."""
    return one.from_centre(sampled(one, quantiles, size), centre_of(one))


def inputs_within(one: Law, size: int) -> dict[str, np.ndarray]:
    """Inputs over their whole plausible domain, uniform in the logarithm, both ends included;
    switches on and off.
    """
    rng = generator(one)
    logs = {name: np.log(spec.plausible) for name, spec in one.inputs.items()}
    found = {
        name: np.exp(np.concatenate([ends, rng.uniform(*ends, size - 2)]))
        for name, ends in logs.items()
    }
    return found | {name: np.arange(size) % 2 * 1.0 for name in one.switches}


def each(params: Values) -> list[dict[str, float]]:
    """Arrays of parameters as one dict of floats a draw."""
    return [
        dict(zip(params, map(float, row), strict=True))
        for row in zip(*params.values(), strict=True)
    ]


def column(one: Law, argument: str) -> str:
    return one.columns.get(argument, argument)


@lru_cache
def compiled(one: Law) -> Callable[..., list[np.ndarray]]:
    """The response and its gradients by every parameter, in PyTensor."""
    inputs = {name: pt.dvector(name) for name in (*one.inputs, *one.switches)}
    params = {name: pt.dvector(name) for name in one.params}
    response = one.evaluate(inputs, params)
    gradients = pytensor.grad(response.sum(), list(params.values()))
    return pytensor.function(
        [*inputs.values(), *params.values()], [response, *gradients], mode=once()
    )


# ---- The formula


@every_law
def test_numpy_xarray_and_pytensor_agree(one: Law) -> None:
    params = parameters(one)
    inputs = inputs_within(one, 40)
    expected = one.evaluate(inputs, params)
    assert expected.shape == (40,)
    by_pytensor = compiled(one)(*inputs.values(), *params.values())[0]
    np.testing.assert_allclose(by_pytensor, expected, rtol=1e-12)
    # With a dimension of its own for draws and for runs, as predictions are made.
    response = one.evaluate(
        {name: xr.DataArray(x, dims="run") for name, x in inputs.items()},
        {name: xr.DataArray(x, dims="draw") for name, x in params.items()},
    )
    broadcast = one.evaluate(inputs, {name: x[:, None] for name, x in params.items()})
    np.testing.assert_allclose(response.transpose("draw", "run").to_numpy(), broadcast, rtol=1e-12)
    np.testing.assert_allclose(np.diag(broadcast), expected, rtol=1e-12)


@every_law
def test_response_and_gradients_are_finite_over_the_plausible_domain(one: Law) -> None:
    params = parameters(one, size=200)
    response, *gradients = compiled(one)(*inputs_within(one, 200).values(), *params.values())
    assert np.isfinite(response).all()
    for name, gradient in zip(params, gradients, strict=True):
        assert np.isfinite(gradient).all(), name
        assert (gradient != 0).any(), f"the response does not depend on {name}"


@every_law
def test_formula_as_text_is_the_function(one: Law) -> None:
    """``formula`` is what people are shown; a sign or an exponent that differs from the code would
    mislead them.
    """
    params = parameters(one)
    inputs = inputs_within(one, 40)
    arguments = {
        argument: inputs[column(one, argument)] for argument in (*one.arguments, *one.switches)
    }
    names = (
        "exp",
        "log",
        "log1p",
        "expm1",
        "sqrt",
        "logaddexp",
        "sigmoid",
        "logit",
        "minimum",
        "saturation",
        "linex",
    )
    functions = {name: getattr(ops, name) for name in names} | {
        "effective": effective,
        "optimal_size": optimal_size,
        "bowl": bowl,
    }
    text = one.formula.replace("^", "**")
    np.testing.assert_allclose(
        eval(text, {**functions, **arguments, **params}), one.evaluate(inputs, params), rtol=1e-12
    )


@every_law
def test_promised_monotonicity(one: Law) -> None:
    params = {name: x[:, None] for name, x in parameters(one).items()}
    assert set(one.monotone) <= set(one.arguments)
    for argument, direction in one.monotone.items():
        sign = {"decreasing": -1, "increasing": 1}[direction]
        name = column(one, argument)
        grid = np.geomspace(*one.inputs[name].plausible, 200)
        others = [
            centre_of(one),
            *({key: spec.plausible[end] for key, spec in one.inputs.items()} for end in (0, 1)),
        ]
        for other in others:
            response = one.evaluate({**other, name: grid}, params)
            # A response may come so near its limit that a step is lost in rounding.
            assert (sign * np.diff(response) >= -1e-13 * abs(response[:, 1:])).all(), (
                argument,
                other,
            )
        at_centre = one.evaluate({**centre_of(one), name: grid}, params)
        assert (sign * (at_centre[:, -1] - at_centre[:, 0]) > 0).all(), argument


@every_law
def test_promised_limits(one: Law) -> None:
    params = parameters(one, (0.25, 0.75))
    centre = centre_of(one)
    with np.errstate(over="ignore"):  # a response that overflows to infinity is at that limit
        for limit in one.limits:
            assert set(limit.inputs) <= set(one.arguments)
            power = {"infinity": 1, "zero": -1}[limit.to]
            far = (FAR ** (power / 3), FAR ** (2 * power / 3), FAR**power)
            moved = [
                one.evaluate({**centre, **{column(one, a): x for a in limit.inputs}}, params)
                for x in far
            ]
            value = np.broadcast_to(limit.value(params), moved[0].shape)
            here = abs(one.evaluate(centre, params))
            if np.isinf(value).all():
                signed = [np.sign(value) * x for x in moved]
                assert (signed[2] > 1e4 * here).all()
                assert (signed[0] <= signed[1]).all()
                assert (signed[1] <= signed[2]).all()
            else:
                errors = [abs(x - value) / here for x in moved]
                assert errors[2].max() < 1e-6, errors[2].max()
                assert (errors[2] <= errors[0] + 1e-15).all()


@every_law
def test_what_stands_for_none_of_an_input_is_none_of_it(one: Law) -> None:
    """Where a law has a value at x = 0, the number that stands for 0 in a table gives that value,
    with finite gradients; also in units of the table's centre, as models are built."""
    if not getattr(one, "starts", False):
        assert all(spec.none is None for name, spec in one.inputs.items() if name != "kl")
        return
    (name, spec), params = *one.inputs.items(), parameters(one)
    (limit,) = (limit for limit in one.limits if limit.to == "zero")
    for unit in (1.0, centre_of(one)[name]):
        response, *gradients = compiled(one)(np.full(40, spec.none / unit), *params.values())
        np.testing.assert_allclose(response, limit.value(params), rtol=2e-3)
        assert np.isfinite(gradients).all()


# ---- Closed forms against numbers


def solve(function: Callable[[float], float], low: float, high: float) -> float:
    return optimize.brentq(function, low, high, xtol=1e-14, rtol=1e-14)


def compute_optimal(one: Law, params: Values, compute: float) -> tuple[float, float]:
    """log N and log D at the least loss, at 6 N D = compute, by minimisation."""
    params = {**params, "E": 0.0}  # it moves no minimum and costs digits

    def loss(log_size: float) -> float:
        size = math.exp(log_size)
        return math.log(one.evaluate({"model_size": size, "data_size": compute / 6 / size}, params))

    found = optimize.minimize_scalar(loss, bracket=(math.log(1e8), math.log(1e10)), tol=1e-10)
    return found.x, math.log(compute / 6) - found.x


def allocation(which: int) -> Callable[[Law, Values], float]:
    """The slope of the log optimum in the log budget, between two budgets."""

    def oracle(one: Law, params: Values) -> float:
        low, high = (compute_optimal(one, params, compute)[which] for compute in (1e19, 1e25))
        return (high - low) / math.log(1e25 / 1e19)

    return oracle


def halving(argument: str, *absent: str) -> Callable[[Law, Values], float]:
    """The factor on an input at which the loss halves, with the parts of it that the input does not
    reduce left out.
    """

    def oracle(one: Law, params: Values) -> float:
        params = {**params, **dict.fromkeys(absent, 0.0)}
        centre, name = centre_of(one), column(one, argument)

        def excess(log_factor: float) -> float:
            grown = {**centre, name: centre[name] * math.exp(log_factor)}
            return math.log(2 * one.evaluate(grown, params) / one.evaluate(centre, params))

        return math.exp(solve(excess, 0.0, 300.0))

    return oracle


def at_nothing(one: Law, params: Values) -> float:
    """The response where every input is as good as zero."""
    return one.evaluate(dict.fromkeys(one.inputs, 1 / FAR), params)


def half_of_zero_shot(one: Law, params: Values) -> float:
    """The examples that halve the zero-shot loss: where D^beta has come to equal D_pre."""
    params = {**params, "E": 0.0}
    half = math.log(at_nothing(one, params) / 2)
    return math.exp(
        solve(
            lambda log_data: (
                math.log(one.evaluate({"finetuning_data": math.exp(log_data)}, params)) - half
            ),
            -300.0,
            300.0,
        )
    )


def start_exponent(one: Law, params: Values) -> float:
    """The slope of log(L0 - L) in log x where L has fallen by 1e-8 to 1e-6 of the way, by root
    finding.
    """

    def log_x(fallen: float) -> float:
        target = params["L0"] * (1 - fallen) + params["E"] * fallen
        return solve(lambda at: one.expected(x=math.exp(at), **params) - target, -600.0, 600.0)

    return math.log(100) / (log_x(1e-6) - log_x(1e-8))


#: (law, quantity) -> a computation that does not use the closed form.
def highest(what: str, method: str = "") -> Callable[[Law, Values], float]:
    """Where the score is highest, by maximisation over log KL; ``method`` where the law has
    several.
    """

    def oracle(one: Law, params: Values) -> float:
        switched = {name: float(method == one.switches[name].on) for name in one.switches}

        def score(log_kl: float) -> float:
            return float(one.evaluate(at(log_kl), params))

        def at(log_kl: float) -> dict[str, float]:
            return {
                "kl": math.exp(log_kl),
                **{name: 3.0 for name in one.inputs if name == "rounds"},
                **switched,
            }

        grid = np.linspace(-20, 60, 4001)
        best = grid[np.argmax([score(x) for x in grid])]

        def slope(x: float) -> float:  # a maximum is found to half the digits of a root
            here, there = (one.response.link.forward(score(x + step)) for step in (1e-5, -1e-5))
            return float(here - there)

        found = solve(slope, best - 0.03, best + 0.03)
        return {
            "kl": math.exp(found),
            "d": math.exp(found / 2),
            "score": float(one.evaluate(at(found), params)),
            "n": n_at(math.exp(found)),
        }[what]

    return oracle


def n_at(kl: float) -> float:
    """n of best-of-n by root finding."""
    if kl > 600:
        return math.inf
    return math.exp(solve(lambda v: v + math.expm1(-v) - kl, 1e-12, kl + 2)) if kl > 0 else 1.0


def highest_of(
    name: str, method: str = "", suffix: str = ""
) -> dict[tuple[str, str], Callable[[Law, Values], float]]:
    return {
        (name, f"{what}_peak{suffix}"): highest(what, method)
        for what in ("kl", "d", "score", *(["n"] if method == "bon" else []))
    }


ORACLES: Mapping[tuple[str, str], Callable[[Law, Values], float]] = {
    **highest_of("overoptimization_bon", "bon"),
    **highest_of("overoptimization_rl"),
    **highest_of("overoptimization", "bon", "_bon"),
    **highest_of("overoptimization", "rl", "_rl"),
    **highest_of("overoptimization_bon_rate", "bon"),
    **highest_of("overoptimization_rl_rate"),
    **highest_of("proxy_score_bon", "bon"),
    **highest_of("proxy_score_rl"),
    ("chinchilla", "size_exponent"): allocation(0),
    ("chinchilla", "data_exponent"): allocation(1),
    ("pretraining", "size_exponent"): allocation(0),
    ("pretraining", "data_exponent"): allocation(1),
    ("kaplan", "size_exponent"): allocation(0),
    ("kaplan", "data_exponent"): allocation(1),
    ("finetuning_multiplicative", "data_to_halve"): halving("finetuning_data", "E"),
    ("finetuning_multiplicative", "factor_to_halve"): halving("factor", "E"),
    ("finetuning_factors", "data_to_halve"): halving("finetuning_data", "E"),
    ("finetuning_additive", "data_to_halve"): halving("finetuning_data", "E", "A"),
    ("finetuning_additive", "factor_to_halve"): halving("factor", "E", "B"),
    ("finetuning_rectified", "zero_shot_loss"): at_nothing,
    ("finetuning_rectified", "pre_learned_examples"): half_of_zero_shot,
    ("power", "x_to_halve"): halving("x", "E"),
    ("shifted_power", "loss_at_start"): at_nothing,
    ("saturating_power", "start_exponent"): start_exponent,
}


@every_law
def test_quantities_equal_their_oracles(one: Law) -> None:
    params = parameters(one, (0.25, 0.75), size=8)
    if one.response.scale == "logit" and "score_peak" in one.quantities:
        # A rate that rounds to 1 has no logit, from which the oracle could find its peak.
        below_one = one.value("score_peak", **params) < 1 - 1e-5
        assert below_one.sum() >= 4
        params = {name: x[below_one] for name, x in params.items()}
    for quantity, meaning in one.quantities.items():
        assert meaning
        assert (
            one.name,
            quantity,
        ) in ORACLES, f"{one.name}.{quantity} has no oracle in tests/test_laws.py"
        oracle = [ORACLES[one.name, quantity](one, draw) for draw in each(params)]
        found = np.broadcast_to(one.value(quantity, **params), len(oracle))
        np.testing.assert_allclose(found, oracle, rtol=1e-6, err_msg=quantity)


def test_oracles_are_all_of_registered_laws() -> None:
    assert set(ORACLES) == {
        (name, quantity) for name, cls in laws().items() for quantity in cls.quantities
    }


# ---- What is sampled at the centre


def argument_called(one: Law, words: str) -> str:
    """The law's argument that an ``at_centre`` text calls "the factor", "model size" or "data"."""
    words = words.removeprefix("the ").replace(" ", "_")
    exact = [argument for argument in one.arguments if words in (argument, column(one, argument))]
    near = [argument for argument in one.arguments if words in argument.split("_")]
    assert len(exact or near) == 1, f"{one.name}: which argument is {words!r}?"
    return (exact or near)[0]


def least(one: Law, params: Values, at: Mapping[str, float]) -> dict[str, np.ndarray]:
    """The least response over what a law has an optimum in, and where it is, by minimisation; one
    value a draw.
    """
    tuned = [name for name in ("learning_rate", "batch_size") if name in one.inputs] or [
        "model_size"
    ]

    def found(draw: Mapping[str, float]) -> list[float]:
        def response(logs: np.ndarray) -> float:
            return float(
                np.log(one.evaluate({**at, **dict(zip(tuned, np.exp(logs), strict=True))}, draw))
            )

        best = optimize.minimize(
            response,
            np.log([at[name] for name in tuned]),
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 0, "maxfev": 20000},
        )
        return [*np.exp(best.x), math.exp(best.fun)]

    return dict(
        zip([*tuned, "loss"], np.array([found(draw) for draw in each(params)]).T, strict=True)
    )


def promised_at_centre(one: Law, name: str, params: Values) -> Any:
    """What the parameter's ``at_centre`` text says is sampled, computed from the paper's
    parameters.
    """
    param, centre = one.params[name], centre_of(one)
    text = param.at_centre.replace(", at the", " at the")
    of_response = "loss_opt" if "loss_opt" in text else re.escape(one.response.name)

    def response(inputs: Mapping[str, float]) -> Any:
        with np.errstate(over="ignore"):
            return (
                least(one, params, inputs)["loss"]
                if of_response == "loss_opt"
                else one.evaluate(inputs, params)
            )

    def loss_at(argument: str, x: float) -> Any:
        return response({**centre, column(one, argument): x})

    loss = response(centre)

    if re.fullmatch(rf"{of_response} at the table's centre", text):
        return loss
    if re.fullmatch(rf"irreducible share of (?:the )?{of_response} at the table's centre", text):
        return params[name] / loss
    if match := re.fullmatch(rf"-d log {of_response} / d log (.+) at the table's centre", text):
        argument = argument_called(one, match[1])
        step, here = 1e-3, centre[column(one, argument)]
        log_at = {k: np.log(loss_at(argument, here * math.exp(k * step))) for k in (-2, -1, 1, 2)}
        return (-log_at[-2] + 8 * log_at[-1] - 8 * log_at[1] + log_at[2]) / (12 * step)
    if match := re.fullmatch(rf"{of_response} due to (.+) at the table's centre", text):
        # what is gone when there is no end of it
        return loss - loss_at(argument_called(one, match[1]), FAR)
    if re.fullmatch(rf"reducible {of_response} at the table's centre", text):
        return loss - params["E"]
    if match := re.fullmatch(
        rf"excess of (\S+) over the {of_response} at the table's centre", text
    ):
        return params[match[1]] / loss - 1
    if match := re.fullmatch(r"share of (.+) in what is reducible at the table's centre", text):
        # Gone when there is no end of it, before the coupling: the root of what is left.
        left = loss_at(argument_called(one, match[1]), FAR) - params["E"]
        return 1 - (left / (loss - params["E"])) ** (1 / params["k"])
    if text == "share of data in the bracket at the table's centre":
        return (params["D_c"] / centre["data_size"]) / loss ** (1 / params["alpha_D"])
    if text == "share of 1 - R0 that endless compute gains":
        return (params["A"] - params["R0"]) / (1 - params["R0"])
    if match := re.fullmatch(r"(\w+)_opt over (\w+) at the table's centre", text):
        return least(one, params, centre)[match[1]] / centre[match[1]]
    if text == "log slopes of loss_opt in model_size and data_size added up at the table's centre":
        both = {
            x: {name: centre[name] * math.exp(x) for name in ("model_size", "data_size")}
            for x in (-1e-3, 1e-3)
        }
        return (
            -(np.log(response(centre | both[1e-3])) - np.log(response(centre | both[-1e-3]))) / 2e-3
        )
    if match := re.fullmatch(
        r"share of (.+) in what is reducible of loss_opt at the table's centre", text
    ):
        parts = {
            key: params[key] / centre[on] ** params[exponent]
            for key, on, exponent in (("A", "model_size", "alpha"), ("B", "data_size", "beta"))
        }
        return parts["B"] / (parts["A"] + parts["B"])
    if match := re.fullmatch(r"(\S+) times \((.+) at the table's centre\)\^(\S+)", text):
        return params[match[1]] * centre[match[2]] ** params[match[3]]
    if text == "score per unit of d at a quarter of the table's centre, times d at the centre":
        d = math.sqrt(centre["kl"])
        # with alpha_at="nat" it is the score per unit of d at d = 1
        quarter = d / 4 / centre.get("rounds", 1.0) if one.to_json()["alpha_at"] == "centre" else 1
        beta = params[name.replace("alpha", "beta")]
        return (params[name] - beta * math.log(quarter)) * d
    if match := re.fullmatch(r"(\S+) times d(\^2)? at the table's centre", text):
        return params[match[1]] * math.sqrt(centre["kl"]) ** (2 if match[2] else 1)
    if match := re.fullmatch(r"(\S+) times (\S+)", text):
        return params[match[1]] * params[match[2]]
    if match := re.fullmatch(r"(\S+) over (\S+)", text):
        return params[match[1]] / params[match[2]]
    if match := re.fullmatch(r"(\S+) over (\w+) at the table's centre", text):
        assert match[1] in (name, param.symbol)
        return params[name] / centre[column(one, argument_called(one, match[2]))]
    if match := re.fullmatch(r"(\S+) over \((.+) at the table's centre\)\^(\S+)", text):
        assert match[1] in (name, param.symbol)
        (exponent,) = (
            other for other, spec in one.params.items() if match[3] in (other, spec.symbol)
        )
        return (
            params[name] / centre[column(one, argument_called(one, match[2]))] ** params[exponent]
        )
    pytest.fail(
        f"{one.name}.{name}: tests/test_laws.py has no check for the text {param.at_centre!r}"
    )


@every_law
def test_parameters_at_the_centre_are_what_their_texts_say(one: Law) -> None:
    chosen = sampled(one, (0.25, 0.75), 40)
    params = one.from_centre(chosen, centre_of(one))
    assert set(params) == set(one.params)
    for name, param in one.params.items():
        if param.at_centre:
            promised = promised_at_centre(one, name, params)
            np.testing.assert_allclose(
                promised, chosen[name], rtol=1e-6, err_msg=f"{name}: {param.at_centre}"
            )
        else:
            np.testing.assert_array_equal(
                params[name], chosen[name], err_msg=f"{name} is sampled as it is"
            )


@every_law
def test_centred_inputs_give_the_same_response(one: Law) -> None:
    """What the model computes, inputs in units of the table's centre, is the law at the paper's
    parameters, wherever the centre is.
    """
    rng = generator(one)
    chosen, inputs = sampled(one, (0.25, 0.75), 40), inputs_within(one, 40)
    centre = {
        name: x * 10 ** rng.uniform(-1, 1) if name in one.inputs else x
        for name, x in centre_of(one).items()
    }
    near = {
        name: centre[name] * 10 ** rng.uniform(-2, 2, 40) if name in one.inputs else x
        for name, x in inputs.items()
    }
    natural = one.evaluate(near, one.from_centre(chosen, centre))
    np.testing.assert_allclose(
        one.at_centred(near, one.in_units_of_centre(chosen), centre), natural, rtol=1e-9
    )


# ---- Priors


@every_law
def test_prior_predictive_mass_is_plausible(one: Law) -> None:
    size, rng = 4000, generator(one)
    centre = centre_of(one)
    draws = {
        name: distribution(param.prior).rvs(size, random_state=rng)
        for name, param in one.params.items()
    }
    inputs = {
        name: (
            x * 10 ** rng.uniform(-0.5, 0.5, size)
            if name in one.inputs
            else np.round(rng.uniform(size=size))
        )
        for name, x in centre.items()
    }
    with np.errstate(all="ignore"):  # what overflows counts as implausible
        response = one.evaluate(inputs, one.from_centre(draws, centre))
    low, high = one.response.plausible
    below, above, lost = (
        np.mean(response < low),
        np.mean(response > high),
        np.mean(np.isnan(response)),
    )
    tails = " ".join(f"{x:.3g}" for x in np.nanquantile(response, (0.005, 0.05, 0.5, 0.95, 0.995)))
    figures = (
        f"below {low:g}: {below:.2%}, above {high:g}: {above:.2%}, NaN: {lost:.2%}; quantiles .5 5"
        f" 50 95 99.5 %: {tails}"
    )
    assert below + above + lost <= 0.01, figures


@every_name
def test_default_priors_lie_in_the_support_and_survive_json(name: str) -> None:
    for key, param in ModelSpec(law=name).params.items():
        ends = {"positive": (0, math.inf), "unit": (0, 1), "real": (-math.inf, math.inf)}[
            param.support
        ]
        low, high = distribution(param.prior).support()
        assert ends[0] <= low, key
        assert high <= ends[1], key
        assert distribution(param.group_scale).support()[0] >= 0
        for prior in (param.prior, param.group_scale, COEFFICIENT, CHECKPOINT_SCALE):
            assert Prior.of(json.loads(json.dumps(prior.to_json()))) == prior


def test_scipy_priors_here_are_pymcs() -> None:
    """The table `distribution` against PyMC's own densities, so that the prior-predictive check
    checks the model's priors.
    """
    import pymc as pm

    priors = (
        Prior("Normal", mu=0.5, sigma=0.7),
        Prior("StudentT", nu=4.0, mu=0.5, sigma=0.7),
        lognormal(0.5, 0.7),
        Prior("HalfNormal", sigma=0.7),
        Prior("Gamma", mu=0.5, sigma=0.7),
        Prior("Beta", alpha=1.5, beta=2.0),
        Prior("Uniform", lower=0.1, upper=0.9),
    )
    for prior in priors:
        variable = getattr(pm, prior.distribution).dist(**prior.in_units(1.0))
        by_pymc = pm.logp(variable, np.array(0.3)).eval(mode="FAST_COMPILE")
        assert by_pymc == pytest.approx(distribution(prior).logpdf(0.3), rel=1e-6), prior


# ---- The law as a document, and as data

CITATION = (
    r"arXiv[:"
    r" ]\d{4}\.\d{4,5}|IJCAI|ICML|ICLR|NeurIPS|ACL|EMNLP|JMLR|TMLR"
    r"|Journal|Transactions|Proceedings|Nature|Science"
)


@every_name
def test_a_law_documents_itself(name: str) -> None:
    cls = laws()[name]
    text = inspect.getdoc(cls) or ""
    assert cls.name == name
    assert cls.__doc__ is not None
    assert "__doc__" in vars(cls)
    assert ".. math::" in text
    references = re.search(r"^References\n-{3,}\n(?P<body>(?:.|\n)+)", text, re.MULTILINE)
    assert references
    assert re.search(CITATION, references["body"])
    assert re.search(r"\bFails\b", text)
    assert cls.formula.strip()
    assert re.search(CITATION, cls.source)
    for word in (*cls.params, *cls().arguments, *cls.switches):
        assert re.search(rf"(?<!\w){re.escape(word)}(?!\w)", cls.formula + text), (
            f"{word} is neither in the formula nor in the docstring"
        )
    symbols = [param.symbol for param in cls.params.values()]
    assert len(set(symbols)) == len(symbols)
    assert all(param.meaning for param in cls.params.values())


@every_law
def test_a_law_survives_json(one: Law) -> None:
    plain = json.loads(json.dumps(one.to_json()))
    assert law(plain) == one
    assert law(one) is one
    assert hash(law(plain)) == hash(one)


@every_law
def test_only_losses_are_better_low(one: Law) -> None:
    """An optimal model size is on a logarithmic scale, and a target for it is met from there up."""
    assert one.response.lower_is_better is one.response.name.endswith("loss")


@every_name
def test_every_option_is_tried_here(name: str) -> None:
    cls = laws()[name]
    assert set(options_of(cls)) <= set(OPTIONS), "add the option's candidates to OPTIONS"
    for option in options_of(cls):
        assert len({getattr(one, option) for one in LAWS if type(one) is cls}) >= 2
        with pytest.raises(SpecError, match=f"{option} is 'not a name', and it must be one of"):
            law(name, **{option: "not a name"})
        assert option in cls.choices


# ---- Golden values

#: Hoffmann et al. 2022 (arXiv 2203.15556): as printed in section 3.3 (rounded), and as in the TeX
#: source.
HOFFMANN_PRINTED = {"A": 406.4, "B": 410.7, "E": 1.69, "alpha": 0.34, "beta": 0.28}
HOFFMANN = {
    "A": math.exp(6.0073404),
    "B": math.exp(6.0179186),
    "E": math.exp(0.5267228),
    "alpha": 0.33917084,
    "beta": 0.2849083,
}
#: Besiroglu et al. 2024 (arXiv 2404.10102), table 1, unrounded in their notebook.
BESIROGLU = {"A": 482.006, "B": 2085.434, "E": 1.8172, "alpha": 0.34781, "beta": 0.36585}


@pytest.mark.parametrize(
    ("params", "a", "b"),
    [
        (HOFFMANN, "0.46", "0.54"),  # their table 2, approach 3
        (BESIROGLU, "0.513", "0.487"),  # their refit: a = .513, standard error .020
    ],
)
def test_chinchilla_allocation_as_published(params: Values, a: str, b: str) -> None:
    one = law("chinchilla")
    digits = len(a) - 2
    assert f"{one.size_exponent(**params):.{digits}f}" == a
    assert f"{one.data_exponent(**params):.{digits}f}" == b


@pytest.mark.parametrize(
    ("params", "ratio"), [(HOFFMANN_PRINTED, "92.8"), (HOFFMANN, "59.0"), (BESIROGLU, "18")]
)
def test_chinchilla_tokens_per_parameter_at_its_own_budget(params: Values, ratio: str) -> None:
    """93 tokens a parameter by the printed coefficients, 18 by the refit, at C = 6 * 70e9 * 1.4e12.

    Quoted so of Besiroglu et al. 2024; further digits by hand from the closed form, G = (alpha A /
    beta B)^(1 / (alpha + beta)).
    """
    size, data = compute_optimal(law("chinchilla"), params, 6 * 70e9 * 1.4e12)
    assert f"{math.exp(data - size):.{len(ratio.partition('.')[2])}f}" == ratio


#: Zhang et al. 2024 (arXiv 2402.17193), table 4: A and alpha of model size, of pretraining tokens;
#: E, beta; then finetuning examples, and the losses of both laws for a base model of 1B parameters
#: and all its pretraining tokens, where they must agree up to the table's rounding: computed by
#: hand from the printed coefficients.
ZHANG: Mapping[
    str, tuple[tuple[float, float], tuple[float, float], float, float, float, float, str, str]
] = {
    "En-De FMT": ((1.2e5, 0.52), (6.3e2, 0.21), 0.75, 0.15, 1e6, 2.83e11, "1.066", "1.062"),
    "En-De LoRA": ((2.1e3, 0.36), (1.4e2, 0.18), 0.62, 0.081, 1e5, 2.83e11, "1.096", "1.098"),
    "En-Zh FMT": ((3.3e3, 0.34), (2.4e2, 0.17), 1.0, 0.14, 1e6, 2.06e11, "1.415", "1.414"),
    "MLSum FMT": ((3.3e2, 0.24), (42.0, 0.11), 0.98, 0.087, 1e6, 2.83e11, "1.666", "1.674"),
}


@pytest.mark.parametrize("row", ZHANG)
def test_finetuning_law_gives_the_losses_of_zhang_table_4(row: str) -> None:
    (A_m, alpha_m), (A_p, alpha_p), E, beta, data, tokens, by_size, by_tokens = ZHANG[row]
    for factor, x, A, alpha, printed in (
        ("model_size", 1e9, A_m, alpha_m, by_size),
        ("pretraining_data", tokens, A_p, alpha_p, by_tokens),
    ):
        one = law("finetuning_multiplicative", factor=factor)
        loss = one.evaluate(
            {factor: x, "finetuning_data": data}, {"A": A, "alpha": alpha, "beta": beta, "E": E}
        )
        assert f"{loss:.3f}" == printed, factor


# ---- The registry


def test_an_unknown_name_suggests_near_ones() -> None:
    with pytest.raises(
        UnknownNameError, match=r"no law named 'chinchila'. Did you mean 'chinchilla'"
    ) as raised:
        law("chinchila")
    assert all(name in str(raised.value) for name in laws())


def test_an_unknown_option_names_the_laws_own() -> None:
    with pytest.raises(
        SpecError, match=r"finetuning_additive has no option facotr; its options: factor"
    ):
        law("finetuning_additive", facotr="model_size")
    with pytest.raises(SpecError, match=r"chinchilla has no option factor; its options: none"):
        law({"name": "chinchilla", "factor": "model_size"})
    with pytest.raises(SpecError, match="needs a 'name'"):
        law({"factor": "model_size"})


def test_any_column_may_be_the_input_of_a_law_of_one_input() -> None:
    one = law("power", input="draft_length")
    assert (list(one.inputs), one.inputs["draft_length"].unit) == (
        ["draft_length"],
        "the table's unit",
    )
    with pytest.raises(SpecError, match="input is 'loss', which is what the law gives"):
        law("power", input="loss")


def test_options_by_keyword_win_over_those_of_a_table() -> None:
    assert law({"name": "power", "input": "step"}, input="compute") == law("power", input="compute")


def test_a_second_law_of_a_name_is_refused() -> None:
    before = laws()
    # the same class again is not a second law: a notebook's cell is run twice
    register(laws()["power"])

    with pytest.raises(SpecError, match=r"'power' is registered already: Power"):
        register(type("Other", (laws()["power"],), {"name": "power"}))
    assert laws() == before


def test_the_list_of_laws_is_a_copy() -> None:
    laws().clear()
    assert laws()


def test_a_law_of_ones_own_in_ten_lines() -> None:
    @register
    @dataclass(frozen=True)
    class Halflife(Law):
        name, formula, source = "halflife", "A * exp(-k * step) + E", "this test"
        response = Response("loss", "nats", scale="log", plausible=(0.01, 100.0))
        params = {key: Param(key, "a part of it", lognormal(1.0, 0.5)) for key in ("A", "k", "E")}
        arguments = {"step": Input("steps", "optimiser steps", (1e-3, 1e3))}
        limits = (Limit(("step",), "infinity", lambda p: p["E"]),)

        @staticmethod
        def expected(*, step: Any, A: Any, k: Any, E: Any) -> Any:
            return A * ops.exp(-k * step) + E

    try:
        mine = law("halflife")
        assert mine == Halflife()
        assert law(mine.to_json()) == mine
        assert ModelSpec(law="halflife").law == mine
        assert mine.evaluate(
            {"step": math.log(2)}, {"A": 2.0, "k": 1.0, "E": 0.5}
        ) == pytest.approx(1.5, rel=1e-15)
        assert mine.from_centre({"A": 2.0, "k": 1.0, "E": 0.5}, {"step": 10.0}) == {
            "A": 2.0,
            "k": 1.0,
            "E": 0.5,
        }
        for check in (
            test_numpy_xarray_and_pytensor_agree,
            test_formula_as_text_is_the_function,
            test_promised_limits,
            test_parameters_at_the_centre_are_what_their_texts_say,
            test_a_law_survives_json,
        ):
            check(mine)
    finally:
        registry._LAWS.pop("halflife", None)
    assert "halflife" not in laws()


# ---- Functions for every kind of array

TAILS = np.concatenate([-np.geomspace(700, 1e-3, 60), [0.0], np.geomspace(1e-3, 700, 60)])
RATES = np.concatenate([np.geomspace(1e-300, 0.4, 60), [0.5], 1 - np.geomspace(0.4, 1e-15, 60)])


@pytest.mark.parametrize("library", ["numpy", "pytensor"])
@pytest.mark.parametrize(
    ("function", "oracle", "arguments"),
    [
        (
            ops.logaddexp,
            lambda a, b: scipy.special.logsumexp([a, b], axis=0),
            tuple(x.ravel() for x in np.meshgrid(TAILS, TAILS)),
        ),
        (ops.sigmoid, scipy.special.expit, (TAILS,)),
        (ops.logit, scipy.special.logit, (RATES,)),
    ],
    ids=["logaddexp", "sigmoid", "logit"],
)
def test_functions_agree_with_scipy(
    library: str, function: Any, oracle: Any, arguments: tuple[np.ndarray, ...]
) -> None:
    if library == "numpy":
        found = function(*arguments)
    else:
        variables = [pt.dvector() for _ in arguments]
        value = function(*variables)
        gradients = pytensor.grad(value.sum(), variables)
        found, *slopes = pytensor.function(variables, [value, *gradients], mode="FAST_COMPILE")(
            *arguments
        )
        assert all(np.isfinite(slope).all() for slope in slopes)
    # logit and logaddexp pass through zero where their terms cancel; a sigmoid has no such place:
    # its lower tail is exact too.
    absolute = {ops.logit: 1e-15, ops.logaddexp: 1e-12, ops.sigmoid: 0.0}[function]
    np.testing.assert_allclose(found, oracle(*arguments), rtol=1e-12, atol=absolute)
