"""The page's tables: which columns, under which names, with numbers as people write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayeslaw.decisions.candidates import ADDED
from bayeslaw.study.report import words

if TYPE_CHECKING:
    from bayeslaw.study.outcome import Outcome

#: A header and rows of cells, a text and whether it is a number each.
Table = tuple[list[str], list[list[tuple[str, bool]]]]

#: Rows that a table shows; the rest is in the CSV beside the page.
MOST_ROWS = 24


def options(outcome: Outcome) -> Table:
    """A row an option."""
    decision, section = outcome.decision, outcome.prepared.study.decision
    assert decision is not None and section is not None
    unit = f" ({section.unit})" if section.unit else ""
    table = decision.table.assign(option=decision.labels, band=_between(decision.table))
    names = {
        "option": "Option",
        "cost": f"Cost{unit}",
        "p_target": "P(target met)",
        "median": "Median",
        "band": "90 % of runs land between",
        "p_best": "P(best option)",
    }
    names |= {
        "expected_value": f"Expected value{unit}",
        "value_tail": f"Mean of its worst 5 %{unit}",
        "highest_cost": f"Worth at most{unit}",
        "expected_regret": "Expected regret",
    }
    return _laid_out(table, names, percent=("p_target", "p_best"))


def backtest(outcome: Outcome) -> Table:
    """A row a method."""
    assert outcome.backtest is not None
    scores = outcome.backtest.scores().reset_index()
    names = {
        "method": "Method",
        "runs": "Hidden runs",
        "coverage_50": "In their 50 % band",
        "coverage_90": "In their 90 % band",
        "relative_error": "Relative error",
        "crps": "CRPS",
        "log_density": "Log density",
    }
    return _laid_out(scores, names, share=("coverage_50", "coverage_90"))


def next_runs(outcome: Outcome) -> Table:
    """A row a candidate, the best first."""
    assert outcome.next_runs is not None
    table = outcome.next_runs
    own = [c for c in table.columns if c not in ADDED]
    section = outcome.prepared.study.next_runs
    decided = outcome.prepared.study.decision
    worth = f" ({decided.unit})" if decided is not None and decided.unit else ""
    unit = " (FLOP)" if section is not None and section.cost == "flop" else ""
    names = {c: c.replace("_", " ") for c in own} | {
        "cost": f"Cost{unit}",
        "variance_reduction": "Of what is not known, it takes away",
        "value_of_run": f"Worth before the decision{worth}",
        "regret_reduction": "Regret saved",
        "bought": "Bought",
    }
    if table["regret_reduction"].max() < 1e-9:  # rounding
        names.pop("regret_reduction")
    if "bought" in table:
        table = table.assign(bought=[str(order) if order else "" for order in table["bought"]])
    return _laid_out(table, names, percent=("variance_reduction",))


def allocation(outcome: Outcome) -> Table:
    """A row a budget."""
    assert outcome.allocation is not None
    return intervals(
        outcome.allocation,
        {"compute": "Compute (FLOP)"},
        {
            "model_size": "Model size",
            "data_size": "Tokens",
            "tokens_per_parameter": "Tokens per parameter",
            "loss": "Loss",
        },
    )


def peaks(outcome: Outcome) -> Table:
    """A row a group."""
    assert outcome.peaks is not None
    table = outcome.peaks
    groups = {
        str(c): str(c).replace("_", " ") for c in table.columns[: list(table.columns).index("runs")]
    }
    return intervals(
        table,
        groups,
        {"kl_peak": "KL at the peak (nats)", "score_peak": "Score there"},
        {"p_no_peak": "P(no peak in reach)"},
    )


def intervals(
    table: pd.DataFrame,
    first: Mapping[str, str],
    of: Mapping[str, str],
    last: Mapping[str, str] | None = None,
) -> Table:
    """Columns of groups, then medians with their 90 % interval in one cell each."""
    cells = {
        name: [
            f"{words.number(m)} ({words.number(a)} to {words.number(b)})"
            for m, a, b in zip(
                table[name], table[f"lower_90_{name}"], table[f"upper_90_{name}"], strict=True
            )
        ]
        for name in of
        if name in table
    }
    names = {
        **first,
        **{name: f"{title}: median (90 % interval)" for name, title in of.items()},
        **(last or {}),
    }
    return _laid_out(table.assign(**cells), names, percent=tuple(last or ()))


def data(outcome: Outcome) -> Table:
    """A row an input or grouping column of the runs."""
    runs = outcome.prepared.runs
    rows: list[Sequence[Any]] = []
    for name, x in runs.law.inputs.items():
        values = runs.table[name]
        rows.append(
            (
                name,
                f"{words.number(values.min())} to {words.number(values.max())}",
                x.unit,
                values.nunique(),
            )
        )
    y = runs.table[runs.law.response.name]
    rows.append(
        (
            runs.law.response.name,
            f"{words.number(y.min())} to {words.number(y.max())}",
            runs.law.response.unit,
            y.nunique(),
        )
    )
    for name in runs.groups:
        labels = runs.table[name].astype(str).value_counts().sort_index()
        rows.append(
            (name, ", ".join(labels.index[:8]) + ", ..." * (len(labels) > 8), "group", len(labels))
        )
    table = pd.DataFrame(rows, columns=["column", "values", "unit", "distinct"])
    return _laid_out(
        table,
        {"column": "Column", "values": "Values", "unit": "Unit", "distinct": "Distinct values"},
    )


def parameters(outcome: Outcome) -> Table:
    """A row a parameter of the law: its meaning, its prior as it is sampled, and what the runs made
    of it.
    """
    from bayeslaw.spec.spec import population_name

    spec, summary = outcome.fit.spec, outcome.summary
    rows = []
    for name, param in spec.law.params.items():
        variable = population_name(name, param)
        row = summary.loc[variable] if variable in summary.index else None
        found = (
            "by group"
            if row is None
            else (
                f"{words.number(row['mean'])} ({words.number(row['lower_90'])} to"
                f" {words.number(row['upper_90'])})"
            )
        )
        rows.append(
            (
                variable,
                param.meaning,
                str(spec.priors.get(variable, "")),
                found,
                spec.effects.get(name, "1"),
            )
        )
    names = {
        "variable": "Variable",
        "meaning": "Meaning",
        "prior": "Prior",
        "posterior": "Mean (90 % interval)",
        "formula": "Formula",
    }
    return _laid_out(pd.DataFrame(rows, columns=list(names)), names)


def _between(table: pd.DataFrame) -> list[str]:
    return [
        f"{words.number(low)} and {words.number(high)}"
        for low, high in zip(table["lower_90"], table["upper_90"], strict=True)
    ]


def _laid_out(
    table: pd.DataFrame,
    names: Mapping[str, str],
    percent: Sequence[str] = (),
    share: Sequence[str] = (),
) -> Table:
    """``percent`` are columns of probabilities, ``share`` of counted shares, which may be 0 and 100
    %.
    """
    kept = [name for name in names if name in table]
    ways = {
        name: (
            words.percent if name in percent else "{:.0%}".format if name in share else words.number
        )
        for name in kept
    }
    rows = [
        [_cell(row[name], ways[name]) for name in kept]
        for _, row in table[kept].head(MOST_ROWS).iterrows()
    ]
    return [names[name] for name in kept], rows


def _cell(value: Any, way: Callable[[Any], str]) -> tuple[str, bool]:
    return (
        (value, False) if isinstance(value, str) else ("" if pd.isna(value) else way(value), True)
    )
