"""The report's tables: their columns, the columns' titles, and numbers as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayeslaw.decisions.candidates import ADDED
from bayeslaw.spec.spec import population_name
from bayeslaw.text import number, percent

if TYPE_CHECKING:
    from bayeslaw.study.result import StudyResult

#: A header, and rows of cells. A cell is its text, and whether it is a number.
Table = tuple[list[str], list[list[tuple[str, bool]]]]

#: Rows that a table shows; the CSV beside the page has all.
MOST_ROWS = 24


def options(result: StudyResult) -> Table:
    """A row for each option."""
    decision, section = result.decision, result.prepared.study.decision
    assert decision is not None and section is not None
    unit = f" ({section.unit})" if section.unit else ""
    bands = [
        f"{number(low)} and {number(high)}"
        for low, high in zip(decision.table["lower_90"], decision.table["upper_90"], strict=True)
    ]
    titles = {
        "option": "Option",
        "cost": f"Cost{unit}",
        "p_target": "P(target met)",
        "median": "Median",
        "band": "90 % of runs land between",
        "p_best": "P(best option)",
        "expected_value": f"Expected value{unit}",
        "value_tail": f"Mean of its worst 5 %{unit}",
        "highest_cost": f"Break-even cost{unit}",
        "expected_regret": "Expected regret",
    }
    table = decision.table.assign(option=decision.labels, band=bands)
    return _with_titles(table, titles, probabilities=("p_target", "p_best"))


def backtest(result: StudyResult) -> Table:
    """A row for each method."""
    assert result.backtest is not None
    titles = {
        "method": "Method",
        "runs": "Hidden runs",
        "coverage_50": "In their 50 % band",
        "coverage_90": "In their 90 % band",
        "relative_error": "Relative error",
        "crps": "CRPS",
        "log_density": "Log density",
    }
    scores = result.backtest.scores().reset_index()
    return _with_titles(scores, titles, shares=("coverage_50", "coverage_90"))


def next_runs(result: StudyResult) -> Table:
    """A row for each candidate, the best first."""
    assert result.next_runs is not None
    table = result.next_runs
    section, decision = result.prepared.study.next_runs, result.prepared.study.decision
    cost_unit = " (FLOP)" if section is not None and section.cost == "flop" else ""
    worth_unit = f" ({decision.unit})" if decision is not None and decision.unit else ""
    titles = {c: c.replace("_", " ") for c in table.columns if c not in ADDED}
    titles |= {
        "cost": f"Cost{cost_unit}",
        "variance_reduction": "Share of the options' variance that it removes",
        "value_of_run": f"Worth before the decision{worth_unit}",
        "net_value": f"Worth less its cost{worth_unit}",
        "p_verdict_changes": "P(the verdict changes)",
        "regret_reduction": "Regret saved",
        "bought": "Bought",
    }
    if table["regret_reduction"].max() < 1e-9:  # rounding
        titles.pop("regret_reduction")
    if "bought" in table:
        table = table.assign(bought=[str(order) if order else "" for order in table["bought"]])
    return _with_titles(table, titles, probabilities=("variance_reduction", "p_verdict_changes"))


def allocation(result: StudyResult) -> Table:
    """A row for each budget."""
    assert result.allocation is not None
    quantities = {
        "model_size": "Model size",
        "data_size": "Tokens",
        "tokens_per_parameter": "Tokens per parameter",
        "loss": "Loss",
    }
    return intervals(result.allocation, {"compute": "Compute (FLOP)"}, quantities)


def peaks(result: StudyResult) -> Table:
    """A row for each group."""
    assert result.peaks is not None
    columns = [str(c) for c in result.peaks.columns]
    groups = {c: c.replace("_", " ") for c in columns[: columns.index("runs")]}
    quantities = {"kl_peak": "KL at the peak (nats)", "score_peak": "Score at the peak"}
    return intervals(result.peaks, groups, quantities, {"p_no_peak": "P(no peak in reach)"})


def intervals(
    table: pd.DataFrame,
    first: Mapping[str, str],
    of: Mapping[str, str],
    last: Mapping[str, str] | None = None,
) -> Table:
    """A table of medians, each with its 90 % interval in one cell.

    Parameters
    ----------
    table : has the columns of ``first`` and ``last``, and for each name in ``of`` the columns
        ``name``, ``lower_90_name`` and ``upper_90_name``.
    first, of, last : column -> title: of the groups, of the medians, of probabilities.
    """
    cells = {
        name: [
            f"{number(median)} ({number(low)} to {number(high)})"
            for median, low, high in zip(
                table[name], table[f"lower_90_{name}"], table[f"upper_90_{name}"], strict=True
            )
        ]
        for name in of
        if name in table
    }
    medians = {name: f"{title}: median (90 % interval)" for name, title in of.items()}
    titles = {**first, **medians, **(last or {})}
    return _with_titles(table.assign(**cells), titles, probabilities=tuple(last or ()))


def data(result: StudyResult) -> Table:
    """A row for each input, the response, and each grouping column of the runs."""
    runs = result.prepared.runs
    response = runs.law.response
    units = {name: x.unit for name, x in runs.law.inputs.items()} | {response.name: response.unit}
    rows: list[Sequence[Any]] = []
    for name, unit in units.items():
        values = runs.table[name]
        if name in runs.law.inputs:
            values = runs.law.inputs[name].written(values)
        extent = f"{number(values.min())} to {number(values.max())}"
        rows.append((name, extent, unit, values.nunique()))
    for name in runs.groups:
        levels = runs.table[name].astype(str).value_counts().sort_index().index
        shown = ", ".join(levels[:8]) + (", ..." if len(levels) > 8 else "")
        rows.append((name, shown, "group", len(levels)))
    titles = {"column": "Column", "values": "Values", "unit": "Unit", "distinct": "Distinct values"}
    return _with_titles(pd.DataFrame(rows, columns=list(titles)), titles)


def parameters(result: StudyResult) -> Table:
    """A row for each parameter of the law: its meaning, prior, posterior and formula."""
    spec, summary = result.fit.spec, result.summary
    rows = []
    for name, param in spec.law.params.items():
        variable = population_name(name, param)
        posterior = "by group"
        if variable in summary.index:
            mean, low, high = summary.loc[variable, ["mean", "lower_90", "upper_90"]]
            posterior = f"{number(mean)} ({number(low)} to {number(high)})"
        prior = str(spec.priors.get(variable, ""))
        rows.append(
            (
                variable,
                param.at_centre or param.meaning,
                prior,
                posterior,
                spec.effects.get(name, "1"),
            )
        )
    titles = {
        "variable": "Variable",
        "meaning": "Meaning",
        "prior": "Prior",
        "posterior": "Mean (90 % interval)",
        "formula": "Formula",
    }
    return _with_titles(pd.DataFrame(rows, columns=list(titles)), titles)


def _with_titles(
    table: pd.DataFrame,
    titles: Mapping[str, str],
    probabilities: Sequence[str] = (),
    shares: Sequence[str] = (),
) -> Table:
    """The columns that have a title, in the order of the titles.

    Parameters
    ----------
    probabilities : columns of probabilities, which are never shown as 0 or 100 %.
    shares : columns of counted shares, which may be 0 and 100 %.
    """
    columns = [name for name in titles if name in table]
    formats: dict[str, Callable[[Any], str]] = dict.fromkeys(columns, number)
    formats |= dict.fromkeys(probabilities, percent)
    formats |= dict.fromkeys(shares, "{:.0%}".format)
    rows = [
        [_cell(row[name], formats[name]) for name in columns]
        for _, row in table[columns].head(MOST_ROWS).iterrows()
    ]
    return [titles[name] for name in columns], rows


def _cell(value: Any, text_of: Callable[[Any], str]) -> tuple[str, bool]:
    """Text as it is; a number by ``text_of``, or "" if it is missing."""
    if isinstance(value, str):
        return value, False
    return "" if pd.isna(value) else text_of(value), True
