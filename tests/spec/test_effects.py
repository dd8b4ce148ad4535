"""Effects formulas, their designs and defaults; and the spec around them: effects, noise, priors,
JSON.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayeslaw as bl
from bayeslaw.errors import FormulaError, RunsError, SpecError, UnknownNameError
from bayeslaw.priors import Prior, lognormal
from bayeslaw.spec import formula as effects
from bayeslaw.spec.design import LinearPredictor
from bayeslaw.spec.effects import default_formula
from bayeslaw.spec.formula import Covariate, Formula, GroupTerm
from bayeslaw.spec.resolve import COEFFICIENT, resolve

TASK, CROSSED = GroupTerm(("task",)), GroupTerm(("task", "method"))
SIZE = Covariate("size")
LOG_SIZE = Covariate("size", ("log10",))

FORMULAS: dict[str, Formula] = {
    "1": Formula(),
    "1 + (1 | task)": Formula(groups=(TASK,)),
    "(1|task)": Formula(groups=(TASK,)),
    "1 + (1 | task) + (1 | task:method)": Formula(groups=(TASK, CROSSED)),
    "1 + (1 | task/method)": Formula(groups=(TASK, CROSSED)),
    "1 + size": Formula((SIZE,)),
    "size": Formula((SIZE,)),
    "size + 1": Formula((SIZE,)),
    "1 + log10(size)": Formula((LOG_SIZE,)),
    "1 + log(log2(size))": Formula((Covariate("size", ("log", "log2")),)),
    "1 + center(log10(size))": Formula((Covariate("size", ("center", "log10")),)),
    "1 + sqrt(size) + size": Formula((Covariate("size", ("sqrt",)), SIZE)),
    # As in lme4, a slope brings its groups' intercepts along unless 0 says otherwise.
    "1 + (size | task)": Formula(groups=(TASK, GroupTerm(("task",), SIZE))),
    "1 + (log10(size) | task)": Formula(groups=(TASK, GroupTerm(("task",), LOG_SIZE))),
    "1 + (0 + log10(size) | task)": Formula(groups=(GroupTerm(("task",), LOG_SIZE),)),
    "1 + log10(size) + (1 | task:method)": Formula((LOG_SIZE,), (CROSSED,)),
    "0 + method": Formula(by="method"),
    "-1 + method": Formula(by="method"),
    "0 + method + (1 | task)": Formula(groups=(TASK,), by="method"),
}
#: A slope without intercepts of its own: "(x | task)" would read back with them.
SLOPE_ONLY = "1 + (0 + log10(size) | task)"


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_read(text: str) -> None:
    assert Formula.parse(text) == FORMULAS[text]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_reads_back_from_its_text(text: str) -> None:
    assert Formula.parse(str(Formula.parse(text))) == FORMULAS[text]


def test_plain_formulas_are_read_as_formulae_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commonest kind has a way of its own, without the library: the same formula, or the same
    refusal.
    """
    terms = [
        "(1 | a)",
        "(1|b)",
        "( 1 | a:b )",
        "(1 | b : a)",
        "(1|a:a)",
        "(1|True)",
        "(1|for)",
        "(1|a.b)",
        "1",
        "0",
        "c",
        "(1|_x:c)",
        "(1|x1_Y)",
        "(1|None1)",
    ]
    texts = [
        join.join(("1", *chosen))
        for n in range(3)
        for chosen in itertools.product(terms, repeat=n)
        for join in (" + ", "+")
    ]

    def read(text: str) -> Formula | type[Exception]:
        try:
            return Formula.parse(text)
        except FormulaError as error:
            return type(error)

    own = [read(text) for text in texts]
    monkeypatch.setattr(effects, "_plain_groups", lambda text: None)
    assert own == [read(text) for text in texts]
    assert sum(isinstance(formula, Formula) for formula in own) > 100


def test_a_spec_keeps_a_slope_without_intercepts() -> None:
    spec = bl.ModelSpec("chinchilla", effects={"alpha": SLOPE_ONLY})
    assert len(Formula.parse(spec.effects["alpha"]).groups) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("1 + (1 | task", "cannot be read"),
        ("1 + __import__('os').system('true')", "cannot be read"),
        ("alpha ~ 1 + (1 | task)", "left side"),
        ("0", "no intercept"),
        ("0 + method + task", "no intercept"),
        ("0 + log10(size)", "no intercept"),
        ("0 + (1 | task)", "no intercept"),
        ("1 + size * data", "interaction of covariates"),
        ("1 + size:data", "interaction of covariates"),
        ("0 + task:method", "interaction of covariates"),
        ("1 + exp(size)", "exp is not a transform.*Use log, log10, log2, sqrt, center"),
        ("1 + lg10(size)", "Did you mean 'log10'"),
        ("1 + (1 | task), (1 | llm)", "cannot be read: ','"),
        ("log10(a) log10(b)", "cannot be read: 'log10'"),
        ("1 + task method", "cannot be read: 'method'"),
        ("1 + (1 | task)(1 | llm)", r"cannot be read: '\('"),
        ("1 + size[task]", r"cannot be read: '\['"),
        ("1 + size in [task]", "cannot be read: 'in'"),
        ("1 + (x | 0 + y)", r"cannot be read: '\+'"),
        ("1 + ((1 | task)", "cannot be read: its end"),
        ("1 + np.log(size)", r"np\.log is not a transform.*Did you mean 'log'"),
        ("1 + I(size)", "I is not a transform"),
        ("1 + log10(size + 1)", "not a column or a transform of one"),
        ("1 + log10(size, 3)", "log10 takes one column"),
        ("1 + log10(center(size))", "center must be outermost"),
        ("1 + (1 | log10(size))", r"log10\(size\) cannot make groups"),
    ],
)
def test_what_a_formula_may_not_say(text: str, says: str) -> None:
    with pytest.raises(FormulaError, match=says) as caught:
        Formula.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["(" * 9000 + "1", "1 + " * 900 + "1"])
def test_a_formula_that_is_too_long_or_too_deep_is_refused(text: str) -> None:
    with pytest.raises(
        FormulaError, match=r"too deeply|at most 500 are read|cannot be read"
    ) as caught:
        Formula.parse(text)
    assert len(str(caught.value)) < 1000


def test_a_power_is_not_silently_dropped(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")
    with pytest.raises(FormulaError):
        Formula.parse("1 + size**2")


def test_columns_of_a_formula() -> None:
    formula = Formula.parse("1 + log10(size) + (1 | task:method) + (steps | task)")
    assert formula.columns == ("size", "task", "method", "steps")
    assert formula.factor_columns == ("task", "method")
    assert (
        Formula.parse("0 + method").columns
        == Formula.parse("0 + method").factor_columns
        == ("method",)
    )


# Designs
# ----------------------------------------------------------------------------------------------


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "task": ["sum", "mt", "sum", "mt", "qa", "sum"],
            "method": ["lora", "lora", "full", "full", "lora", "lora"],
            "size": [1e8, 1e9, 1e10, 2e9, 5e8, 3e9],
            "steps": [10, 20, 40, 80, 160, 320],
        }
    )


def test_levels_and_index(table: pd.DataFrame) -> None:
    design = LinearPredictor.of(Formula.parse("1 + (1 | task) + (1 | task:method)"), table)
    assert design.levels == {
        "1|task": ("mt", "qa", "sum"),
        "1|task:method": ("mt:full", "mt:lora", "qa:lora", "sum:full", "sum:lora"),
    }
    assert design.index(TASK, table).tolist() == [2, 0, 2, 0, 1, 2]
    assert design.index(CROSSED, table).tolist() == [4, 1, 3, 0, 2, 4]


def test_unseen_and_missing_groups_have_no_index(table: pd.DataFrame) -> None:
    design = LinearPredictor.of(Formula.parse("1 + (1 | task) + (1 | task:method)"), table)
    points = pd.DataFrame(
        {
            "task": ["mt", "news", None, np.nan, "qa"],
            "method": ["lora", "lora", "lora", "full", "full"],
        }
    )
    assert design.index(TASK, points).tolist() == [0, -1, -1, -1, 1]
    # qa and full were seen, together never
    assert design.index(CROSSED, points).tolist() == [1, -1, -1, -1, -1]
    assert CROSSED.labels(points).tolist() == ["mt:lora", "news:lora", "", "", "qa:full"]
    assert CROSSED.labels(pd.DataFrame({"task": ["mt"], "method": [""]})).tolist() == [""]


def test_missing_is_no_level(table: pd.DataFrame) -> None:
    table.loc[4, "task"] = None
    assert LinearPredictor.of(Formula.parse("1 + (1 | task)"), table).levels == {
        "1|task": ("mt", "sum")
    }


def test_groups_of_numbers_meet_whatever_their_type() -> None:
    """A table of points may hold an integer where the runs held a float."""
    design = LinearPredictor.of(Formula.parse("0 + size"), pd.DataFrame({"size": [7e9, 1e9, 0.5]}))
    term = design.formula.by_term
    assert term is not None
    assert design.index(
        term, pd.DataFrame({"size": [1_000_000_000, 7_000_000_000, 7_000_000_001]})
    ).tolist() == [1, 2, -1]


def test_a_colon_in_a_label_does_not_merge_groups() -> None:
    design = LinearPredictor.of(
        Formula.parse("1 + (1 | a:b)"), pd.DataFrame({"a": ["x:y", "x"], "b": ["z", "y:z"]})
    )
    assert len(design.levels["1|a:b"]) == 2


def test_covariates_are_centred_where_the_runs_are(table: pd.DataFrame) -> None:
    design = LinearPredictor.of(
        Formula.parse("1 + log10(size) + steps + center(log2(steps))"), table
    )
    expected = {
        "log10(size)": np.mean(np.log10(table["size"])),
        "steps": 105.0,
        "center(log2(steps))": np.mean(np.log2(table["steps"])),
    }
    assert design.centres == pytest.approx(expected)
    elsewhere = pd.DataFrame({"size": [1e12], "steps": [5]})
    assert design.centred(LOG_SIZE, elsewhere) == pytest.approx([12 - expected["log10(size)"]])


def test_linear_predictor_by_hand(table: pd.DataFrame) -> None:
    design = LinearPredictor.of(
        Formula.parse("1 + log10(size) + (1 | task) + (steps | method)"), table
    )
    deviations = {
        "1|task": np.array([0.1, 0.2, 0.4]),  # mt, qa, sum
        "1|method": np.array([-1.0, 1.0]),  # full, lora
        "steps|method": np.array([0.01, 0.02]),
    }
    found = design.value(3.0, {"log10(size)": 2.0}, deviations, table)
    mean = (8 + 9 + 10 + math.log10(2e9) + math.log10(5e8) + math.log10(3e9)) / 6
    expected = [
        3 + 2 * (8 - mean) + 0.4 + 1 + 0.02 * (10 - 105),
        3 + 2 * (9 - mean) + 0.1 + 1 + 0.02 * (20 - 105),
        3 + 2 * (10 - mean) + 0.4 - 1 + 0.01 * (40 - 105),
        3 + 2 * (math.log10(2e9) - mean) + 0.1 - 1 + 0.01 * (80 - 105),
        3 + 2 * (math.log10(5e8) - mean) + 0.2 + 1 + 0.02 * (160 - 105),
        3 + 2 * (math.log10(3e9) - mean) + 0.4 + 1 + 0.02 * (320 - 105),
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_linear_predictor_is_that_of_lme4s_matrices() -> None:
    """X beta + Z u with dummy matrices, Z of a slope being Z of its groups times the centred
    covariate; many draws at once.
    """
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "task": rng.choice(list("abcd"), 40),
            "method": rng.choice(list("xyz"), 40),
            "size": rng.lognormal(20, 2, 40),
        }
    )
    design = LinearPredictor.of(
        Formula.parse("1 + log10(size) + (1 | task:method) + (log10(size) | task)"), table
    )
    crossed, task = (
        pd.get_dummies(table["task"] + ":" + table["method"], dtype=float),
        pd.get_dummies(table["task"], dtype=float),
    )
    x = np.log10(table["size"]) - np.log10(table["size"]).mean()
    X = np.column_stack([np.ones(40), x])
    Z = np.hstack([crossed, task, task.mul(x, axis=0)])
    draws = 3
    beta, u = rng.normal(size=(draws, 2)), rng.normal(size=(draws, Z.shape[1]))
    parts = np.split(u, np.cumsum([crossed.shape[1], task.shape[1]]), axis=1)
    deviations = dict(zip(["1|task:method", "1|task", "log10(size)|task"], parts, strict=True))
    found = design.value(beta[:, :1], {"log10(size)": beta[:, 1:]}, deviations, table)
    assert found.shape == (draws, 40)
    np.testing.assert_allclose(found, beta @ X.T + u @ Z.T, rtol=1e-10, atol=1e-12)


# Default formulas
# ----------------------------------------------------------------------------------------------


def runs_of(
    rows: list[tuple[Any, ...]], columns: str, law: str = "power", **options: Any
) -> bl.Runs:
    """Two runs of each row of groups, with made-up inputs."""
    groups = pd.DataFrame(rows, columns=columns.split())
    table = pd.concat([groups, groups], ignore_index=True)
    order = np.arange(1, len(table) + 1)
    inputs = dict.fromkeys(bl.law(law).inputs, 1e8 * order)
    return bl.read_runs(table.assign(loss=2 + 1 / order, **inputs), law, **options)


CROSSING = [(task, method) for task in ("sum", "mt") for method in ("lora", "full", "prompt")]


@pytest.mark.parametrize(
    ("rows", "columns", "formula"),
    [
        ([()] * 3, "", "1"),
        ([("a",), ("b",)], "task", "1 + (1 | task)"),
        ([("a",), ("a",)], "task", "1"),
        (CROSSING, "task method", "1 + (1 | task:method)"),
        # `task` stands first in GROUP_COLUMNS, wherever the table has it.
        ([(m, t) for t, m in CROSSING], "method task", "1 + (1 | task:method)"),
        # Nested: m1 and m2 are GPT models, m3 and m4 OPT models; no crossing to speak of.
        (
            [("gpt", "m1"), ("gpt", "m2"), ("opt", "m3"), ("opt", "m4")],
            "family model",
            "1 + (1 | family) + (1 | model)",
        ),
        # One column by two names makes one effect.
        ([("gpt", "G"), ("opt", "O")], "family model", "1 + (1 | family)"),
        ([("a", 1), ("b", 2)], "task seed", "1 + (1 | task)"),
        ([("a", "r1"), ("b", "r2")], "task run", "1 + (1 | task)"),
        ([(1, "r1"), (2, "r2")], "seed run", "1"),
    ],
)
def test_default_formula(rows: list[tuple[Any, ...]], columns: str, formula: str) -> None:
    runs = runs_of(rows, columns)
    assert str(default_formula(runs, varies=True)) == formula
    assert str(default_formula(runs, varies=False)) == "1"


def test_cells_of_one_run_are_no_groups() -> None:
    table = pd.DataFrame(CROSSING, columns=["task", "method"]).assign(
        data_size=np.arange(1, 7) * 1e8, loss=np.linspace(3, 2, 6)
    )
    runs = bl.read_runs(table, "power")
    assert str(default_formula(runs, varies=True)) == "1 + (1 | task) + (1 | method)"


# Specs
# ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs() -> bl.Runs:
    return runs_of(CROSSING, "task method", "chinchilla")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"effects": {"alfa": "1"}},
            (
                "effects has alfa, which chinchilla does not have.*Did you mean 'alpha'.*A, B, E,"
                " alpha, beta, sigma"
            ),
        ),
        ({"effects": {"nu": "1"}, "noise": "normal"}, "effects has nu"),
        ({"effects": {"alpha": "1 + ("}}, "cannot be read"),
        ({"curve_by": ["task"]}, "curve_by says what one curve is for a discrepancy along curves"),
        ({"noise": "gaussian"}, "noise is 'gaussian'.*student_t, normal"),
        ({"discrepancy": "gp"}, "discrepancy is 'gp'"),
        (
            {"priors": {"alpha": {"distribution": "Norml", "mu": 0, "sigma": 1}}},
            "'Norml'.*Did you mean 'Normal'",
        ),
        ({"priors": {"alpha": {"mu": 0}}}, "needs a 'distribution'"),
        ({"priors": {"alpha": "LogNormal"}}, "it was given 'LogNormal'"),
        ({"priors": {"alpha": True}}, "it was given True"),
    ],
)
def test_a_spec_that_cannot_be_meant(arguments: Mapping[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        bl.ModelSpec("chinchilla", **arguments)


def test_an_unknown_law() -> None:
    with pytest.raises(UnknownNameError, match=r"'chinchila'.*Did you mean 'chinchilla'"):
        bl.ModelSpec("chinchila")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"priors": {"alhpa": 0.3}}, "priors has alhpa.*Did you mean 'alpha'"),
        ({"priors": {"A": 1.0}}, "priors has A, .*A_at_centre"),
        ({"priors": {"E_1|tsk_sigma": 0.1}}, r"Did you mean 'E_1\|task:method_sigma'"),
        ({"priors": {"nu": 5.0}, "noise": "normal"}, "priors has nu"),
        (
            {"effects": {"alpha": "1 + (1 | methods)"}},
            "formula of alpha.*needs methods.*Did you mean 'method'",
        ),
        (
            {"priors": {"alpha": Prior("Normal", mu=0.3, sigma=0.1)}},
            r"alpha is Normal\(mu=0.3, sigma=0.1\).*must be positive.*LogNormal",
        ),
        ({"priors": {"alpha": Prior("StudentT", nu=4, mu=0.3, sigma=0.1)}}, "must be positive"),
        ({"priors": {"alpha": Prior("Uniform", lower=-0.1, upper=1)}}, "must be positive"),
        ({"priors": {"alpha": 0}}, "must be positive"),
        ({"priors": {"sigma": -0.1}}, "must be positive"),
        ({"priors": {"E_1|task:method_sigma": Prior("Normal", mu=0, sigma=1)}}, "must be positive"),
    ],
)
def test_a_spec_that_the_runs_contradict(
    runs: bl.Runs, arguments: Mapping[str, Any], says: str
) -> None:
    with pytest.raises(SpecError, match=says):
        resolve(bl.ModelSpec("chinchilla", **arguments), runs)


def test_a_spec_for_another_law(runs: bl.Runs) -> None:
    with pytest.raises(SpecError, match=r"chinchilla.*power"):
        resolve(bl.ModelSpec("power"), runs)


def test_a_covariate_of_text_is_a_fault_of_the_table(runs: bl.Runs) -> None:
    with pytest.raises(RunsError) as caught:
        resolve(bl.ModelSpec("chinchilla", effects={"alpha": "1 + method"}), runs)
    (fault,) = caught.value.faults
    assert (fault.column, fault.row) == ("method", "")
    assert "all 12 values cannot serve as method" in fault.problem
    assert "'lora' (row 0)" in fault.problem
    assert "(1 | column)" in fault.remedy


def test_the_log_of_zero_is_a_fault_of_the_table() -> None:
    table = pd.DataFrame(
        {"data_size": [1e8, 2e8, 3e8], "loss": [3.0, 2.0, 1.0], "depth": [4, 0, 8]}
    )
    runs = bl.read_runs(table, "power")
    with pytest.raises(RunsError) as caught:
        resolve(bl.ModelSpec("power", effects={"alpha": "1 + log(depth)"}), runs)
    assert caught.value.faults[0].row == "row 1"


FINETUNING = "finetuning_multiplicative"


@pytest.mark.parametrize(
    ("prior", "fits"),
    [
        (Prior("Beta", alpha=2, beta=3), True),
        (Prior("Uniform", lower=0.2, upper=0.8), True),
        (0.4, True),
        (lognormal(0.3, 1), False),
        (Prior("HalfNormal", sigma=1), False),
        (Prior("Gamma", mu=0.5, sigma=0.1), False),
        (Prior("Normal", mu=0.5, sigma=0.1), False),
        (-0.4, False),
        pytest.param(1.5, False),
        pytest.param(Prior("Uniform", lower=0, upper=2), False),
    ],
)
def test_the_prior_of_a_share_is_on_the_unit_interval(prior: Prior | float, fits: bool) -> None:
    runs = runs_of(CROSSING, "task method", FINETUNING)
    spec = bl.ModelSpec(FINETUNING, priors={"E_at_centre": prior})
    if fits:
        assert resolve(spec, runs).priors["E_at_centre"] == Prior.of(prior)
        return
    with pytest.raises(SpecError, match=r"E_at_centre must be between 0 and 1\. Use Beta"):
        resolve(spec, runs)


def test_the_prior_of_a_trend_may_be_negative(runs: bl.Runs) -> None:
    spec = bl.ModelSpec(
        "chinchilla",
        effects={"alpha": "1 + log10(model_size)"},
        priors={"alpha_log10(model_size)": -0.2},
    )
    assert resolve(spec, runs).priors["alpha_log10(model_size)"] == Prior("Constant", value=-0.2)


def test_default_priors_of_raw_covariates_do_not_depend_on_their_unit(runs: bl.Runs) -> None:
    """A prior of .5 per step would say nothing where steps run to thousands, and .5 per unit of a
    share next to nothing else; per decade it is the same in every unit.
    """
    steps = np.arange(len(runs)) ** 2.0

    def priors(unit: float) -> dict[str, Prior]:
        scaled = replace(runs, table=runs.table.assign(steps=steps * unit + unit))
        effects = {"E": "1 + steps + log10(steps) + center(sqrt(steps)) + (0 + steps | task)"}
        return dict(resolve(bl.ModelSpec("chinchilla", effects=effects), scaled).priors)

    one, thousand = priors(1.0), priors(1000.0)
    spread = steps.std()
    assert one["E_steps"] == Prior("Normal", mu=0.0, sigma=0.5 / spread)
    width = dict(thousand["E_steps"].parameters)["sigma"]
    assert width == pytest.approx(0.5 / spread / 1000)
    assert one["E_log10(steps)"] == thousand["E_log10(steps)"] == COEFFICIENT
    assert dict(thousand["E_center(sqrt(steps))"].parameters)["sigma"] == pytest.approx(
        dict(one["E_center(sqrt(steps))"].parameters)["sigma"] / 1000**0.5
    )
    of_groups = [dict(x["E_steps|task_sigma"].parameters)["mu"] for x in (one, thousand)]
    assert of_groups[0] - of_groups[1] == pytest.approx(math.log(1000))


def test_a_covariate_of_one_value_keeps_its_prior(runs: bl.Runs) -> None:
    constant = replace(runs, table=runs.table.assign(steps=0.1))
    spec = bl.ModelSpec("chinchilla", effects={"E": "1 + steps"})
    assert resolve(spec, constant).priors["E_steps"] == COEFFICIENT


def test_resolving_leaves_nothing_to_a_default(runs: bl.Runs) -> None:
    effects = {"alpha": "1 + (1|method)", "sigma": "0 + task"}
    spec = bl.ModelSpec(
        "chinchilla", effects=effects, noise="normal", priors={"alpha": lognormal(0.4, 0.1)}
    )
    resolved = resolve(spec, runs)
    everything = "1 + (1 | task:method)"
    assert resolved.spec.effects == {
        **dict.fromkeys("ABE", everything),
        "alpha": "1 + (1 | method)",
        "beta": "1",
        "sigma": "0 + task",
    }
    scales = {f"{name}_1|task:method_sigma" for name in ("A", "B", "E")} | {"alpha_1|method_sigma"}
    assert (
        set(resolved.priors)
        == {"A_at_centre", "B_at_centre", "E", "alpha", "beta", "sigma"} | scales
    )
    assert resolved.priors["alpha"] == lognormal(0.4, 0.1)
    assert resolve(resolved.spec, runs) == resolved
    assert resolved.group_columns == ("task", "method")
    trend = bl.ModelSpec("chinchilla", effects={"E": "1 + log10(model_size)"})
    assert resolve(trend, runs).covariate_columns == ("model_size",)


def test_a_spec_reads_back_from_json(runs: bl.Runs) -> None:
    spec = bl.ModelSpec(
        {"name": FINETUNING, "factor": "pet_size"},
        effects={
            "alpha": "1 + log10(pet_size) + (1 | task:method)",
            "A": "0 + method",
            "sigma": "1 + (1 | task)",
        },
        noise="normal",
        priors={
            "E_at_centre": 0.2,
            "alpha": lognormal(0.1, 0.5),
            "A_at_centre": lognormal(1, 0.5, relative=True),
        },
    )
    written = json.loads(json.dumps(spec.to_json()))
    assert written["law"] == {"name": FINETUNING, "factor": "pet_size"}
    assert written["priors"]["E_at_centre"] == {"distribution": "Constant", "value": 0.2}
    assert written["effects"]["alpha"] == "1 + log10(pet_size) + (1 | task:method)"
    assert bl.ModelSpec.from_json(written) == spec
    resolved = resolve(bl.ModelSpec("chinchilla"), runs)
    assert bl.ModelSpec.from_json(json.loads(json.dumps(resolved.spec.to_json()))) == resolved.spec


# Priors
# ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distribution", "parameters", "says"),
    [
        ("Lognormal", {"mu": 0, "sigma": 1}, "Did you mean 'LogNormal'.*Known: Normal, StudentT"),
        ("Normal", {"mu": 0}, "takes mu, sigma; it was given mu"),
        ("Normal", {"mu": 0, "sigma": 1, "nu": 3}, "takes mu, sigma; it was given mu, sigma, nu"),
        ("HalfNormal", {}, "it was given nothing"),
        ("Normal", {"mu": 0, "sigma": 0}, "sigma is 0, and it must be positive"),
        ("Normal", {"mu": math.nan, "sigma": 1}, "mu is nan, and it must be a finite number"),
        ("Normal", {"mu": math.inf, "sigma": 1}, "mu is inf"),
        ("Normal", {"mu": "0", "sigma": 1}, "mu is '0'"),
        ("Normal", {"mu": 0, "sigma": True}, "sigma is True"),
        ("StudentT", {"nu": -1, "mu": 0, "sigma": 1}, "nu is -1, and it must be positive"),
        ("Beta", {"alpha": 0, "beta": 1}, "alpha is 0, and it must be positive"),
        ("Uniform", {"lower": 1, "upper": 1}, "lower must be below upper"),
        ("LogNormal", {"median": 0, "sigma": 1}, "median is 0, and it must be a positive number"),
        ("Constant", {}, "takes value"),
        ("Gamma", {"mu": -1, "sigma": 1}, "mu is -1, and it must be positive"),
        ("LogNormal", {"median": 2, "mu": 5, "sigma": 1}, "not both"),
        ("LogNormal", {"median": "2", "sigma": 1}, "positive number"),
    ],
)
def test_a_prior_that_cannot_be_meant(
    distribution: str, parameters: Mapping[str, Any], says: str
) -> None:
    with pytest.raises(SpecError, match=says):
        Prior(distribution, **parameters)


def test_numpy_numbers_are_numbers() -> None:
    assert Prior("Normal", mu=np.int64(0), sigma=np.float32(1)) == Prior("Normal", mu=0, sigma=1)


def test_a_lognormal_by_its_median() -> None:
    prior = Prior("LogNormal", median=0.3, sigma=0.5)
    assert stats.lognorm(
        s=0.5, scale=math.exp(dict(prior.parameters)["mu"])
    ).median() == pytest.approx(0.3)
    assert str(prior) == "LogNormal(median=0.3, sigma=0.5)"
    assert lognormal(0.3, 0.5) == prior


@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        (Prior("Normal", relative=True, mu=1, sigma=0.5), {"mu": 4, "sigma": 2}),
        (Prior("Normal", mu=1, sigma=0.5), {"mu": 1, "sigma": 0.5}),
        (Prior("StudentT", relative=True, nu=3, mu=1, sigma=0.5), {"nu": 3, "mu": 4, "sigma": 2}),
        (
            Prior("LogNormal", relative=True, median=0.5, sigma=0.3),
            {"mu": math.log(2), "sigma": 0.3},
        ),
        (Prior("Uniform", relative=True, lower=0, upper=1), {"lower": 0, "upper": 4}),
        (Prior("Beta", relative=True, alpha=1, beta=2), {"alpha": 1, "beta": 2}),
        (Prior("Constant", relative=True, value=0.5), {"value": 2}),
    ],
)
def test_a_relative_prior_is_in_units_of_the_typical_response(
    prior: Prior, expected: dict[str, float]
) -> None:
    assert prior.in_units(4.0) == pytest.approx(expected)
    assert Prior.of(json.loads(json.dumps(prior.to_json()))) == prior
