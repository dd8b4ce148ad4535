"""Do the numbers of a table look like what its law takes? Units, directions, floors, checkpoints:
the one place where the ranges and directions that a law declares meet a table.

Nothing here is a fault. Each sentence says what was seen, what it probably is, and what to do; it
is a warning of `bayeslaw.read_runs`, and so stands before anything is sampled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bayeslaw.laws.base import OWN_UNIT, Input, Law
from bayeslaw.laws.kl import Logarithmic

#: A KL in nats that RL exceeds soon if it is that of whole sequences.
KL_OF_SEQUENCES = 1.0
#: Tokens a parameter in the middle of a table of pretraining runs. Public tables have 4 to 93
#: there; counting one of the two in millions moves it by a million.
TOKENS_PER_PARAMETER = (0.01, 1e5)
#: Share of a curve's largest sqrt(KL) up to which a run lies near the initial policy.
NEAR_START = 0.1
#: Rows that show which way a response goes, and curves that show whether they turn: of larger
#: tables every second row, or fewer, is read.
ROWS, CURVES = 100_000, 500
#: Rank correlation, where all else is equal, from which a response is said to go the wrong way, and
#: how many of its standard errors it must be: four runs in the wrong order, or more that mostly
#: are.
WRONG_WAY, STANDARD_ERRORS = 0.5, 1.7
#: A curve turns if it has so many points from its best on, and if the last is worse by so much, on
#: the response's scale. It is said of a table if so large a share of its rows is on such curves; of
#: public runs on repeated data, some of which overfit, at most .18 are.
TURNED_POINTS, TURNED_BY, TURNED_SHARE = 4, 0.01, 0.25
#: The fall of the log loss for each e-fold of the inputs together below which runs are said to lie
#: near a floor, and the range of the inputs, a factor, from which this is judged. Public curves of
#: losses fall by .02 to .6.
NEAR_FLOOR, FLOOR_RANGE = 0.012, 4.0
#: Rows of one model from which they may be called checkpoints: those in equal steps, and those in
#: any steps, as nobody trains so many models of one size.
EQUAL_STEPS, MANY_ROWS = 6, 40
#: Columns that count the steps of a running training, lower case.
STEP_COLUMNS = ("step", "_step", "global_step", "train/global_step", "iteration", "iter")
LOGARITHM = (
    "The {} of this law is the logarithm of a perplexity: take that (np.log) before the table is"
    " read."
)
#: Names of columns that say what a loss in nats is not, and what to do.
NAMES = (
    ("ppl|perplex", "a perplexity", LOGARITHM),
    (
        "bits|(?<![a-z])bp[bcw](?![a-z])",
        "in bits",
        "The fit is the same as in nats, but coefficients, targets and predictions are in bits. For"
        f" nats, scale={{{{'{{}}': {np.log(2):.6f}}}}}.",
    ),
    (
        "(?<![a-z])acc(?![a-z])|accuracy|score|exact_match|(?<![a-z])f1(?![a-z])",
        "a score, which rises where a loss falls",
        "Take a law of scores, such as sigmoid_compute, or give the error, 1 - accuracy, as the {}"
        " of a law of one input, such as power, which takes any unit.",
    ),
)


def plausibility_warnings(
    table: pd.DataFrame, law: Law, groups: Sequence[str], columns: Mapping[str, str]
) -> list[str]:
    """What in a checked table looks like something else than the law takes.

    Parameters
    ----------
    table : the checked table, in the law's names.
    law : the law that it was read for.
    groups : its grouping columns, those that tell repeats apart too.
    columns : for a canonical name, the table's own name, where its values stand as they were there.
    """
    found = [*_inputs_outside(table, law), *_kl_per_token(table, law)]
    if not found:
        found += _tokens_per_parameter(table, law)
    found += [*_response_outside(table, law, columns), *_not_relative(table, law, groups)]
    some = table.iloc[:: max(1, len(table) // ROWS)]
    found += _wrong_way(some, law, groups) or _near_floor(some, law, groups)
    return found + _checkpoints(table, law, groups)


# ---- Units


def _inputs_outside(table: pd.DataFrame, law: Law) -> list[str]:
    """A warning for each input with values that look like another unit."""
    return [
        f"{name} runs from {low:g} to {high:g}, outside {spec.plausible[0]:g} to"
        f" {spec.plausible[1]:g} {spec.unit}. If the column is in another unit, say so:"
        f" {_scales(name, spec, low, high)}."
        for name, spec in law.inputs.items()
        if spec.unit != OWN_UNIT
        for low, high in [_extent(spec.present(table[name]))]
        if low < spec.plausible[0] or high > spec.plausible[1]
    ]


def _extent(x: pd.Series) -> tuple[float, float]:
    return float(x.min()), float(x.max())


def _scales(name: str, spec: Input, low: float, high: float) -> str:
    """The factors that bring a column into its plausible range, in words."""
    least, most = spec.plausible
    fitting = [
        f"{_short(factor)} for {unit}"
        for unit, factor in spec.other_units
        if least <= low * factor and high * factor <= most
    ]
    first, *others = fitting or ["..., the factor to the unit of the law"]
    factor, _, unit = first.partition(" ")
    return ", ".join([f"scale={{{name!r}: {factor}}} {unit}", *others])


def _short(x: float) -> str:
    """A number as people type it: 1e9."""
    return re.sub(r"e\+0*", "e", f"{x:g}")


def _tokens_per_parameter(table: pd.DataFrame, law: Law) -> list[str]:
    """A warning where model sizes and data, each plausible, do not go together."""
    if "model_size" not in law.inputs:
        return []
    size = table["model_size"]
    if "data_size" in law.inputs:
        other, ratio, words = "data_size", table["data_size"] / size, "data_size / model_size"
    elif "compute" in law.inputs:
        other, ratio = "compute", table["compute"] / (6 * size**2)
        words = "compute / (6 model_size^2)"
    else:
        return []
    low, high = TOKENS_PER_PARAMETER
    middle = float(ratio.median())
    if low <= middle <= high:
        return []
    wrong = other if middle < low else "model_size"
    return [
        f"the middle run has {middle:.2g} tokens a parameter ({words}), and {low:g} to {high:g} are"
        f" usual. Probably {wrong} is in millions or billions, and the other is not:"
        f" scale={{{wrong!r}: 1e6}}."
    ]


def _kl_per_token(table: pd.DataFrame, law: Law) -> list[str]:
    """A warning where the KL of RL looks like a mean per token."""
    if not isinstance(law, Logarithmic) or not (largest := table["kl"].max()) < KL_OF_SEQUENCES:
        return []
    return [
        f"KL is at most {largest:g}. Per sequence, RL reaches 1 to 100 nats, so this looks like a"
        " mean per token, as TRL and verl log it. The fit does not depend on the unit; KLs that you"
        " ask for, and those of answers, are in the unit of this column."
    ]


def _response_outside(table: pd.DataFrame, law: Law, columns: Mapping[str, str]) -> list[str]:
    """A warning where the response looks like something else, by its name or by its values."""
    name, unit, usual = law.response.name, law.response.unit, law.response.usual
    if usual is None:
        return []
    in_nats, own = unit.startswith("nats"), str(columns.get(name, name))
    for pattern, what, remedy in NAMES if in_nats else ():
        if re.search(pattern, own.lower()):
            return [f"{name} is the column {own!r}, by its name {what}. {remedy.format(name)}"]
    low, high = _extent(table[name])
    if usual[0] <= low and high <= usual[1]:
        return []
    seen = f"{name} runs from {low:g} to {high:g}, outside {usual[0]:g} to {usual[1]:g} {unit}."
    scale = f"scale={{{name!r}: ...}} brings it to that of the law"
    if in_nats and high > usual[1] and low >= 1 and high <= np.exp(usual[1]):
        per_cent = " or a percentage" if high <= 100 else ""
        return [
            f"{seen} It is probably a perplexity{per_cent}. {LOGARITHM.format(name)} If it is in"
            f" another unit, {scale}."
        ]
    subtracted = ", or something was subtracted from it" if in_nats and low < usual[0] else ""
    return [f"{seen} It is probably in another unit{subtracted}: {scale}."]


def _not_relative(table: pd.DataFrame, law: Law, groups: Sequence[str]) -> list[str]:
    """A warning where scores do not start from 0 at the initial policy, and rise from there."""
    if law.response.scale != "linear" or "kl" not in law.inputs:
        return []
    name = law.response.name
    cell = _cells(table, groups).to_numpy()
    early = table[name][table["kl"] <= table["kl"].groupby(cell).transform("median")]
    if (below := float((early < 0).mean())) > 0.5:
        return [
            f"{name} is below 0 in {below:.0%} of the runs nearest the initial policy, and"
            f" {law.name} rises from 0. Are they raw scores? bl.relative_scores subtracts the"
            " initial policy's. Is less better? Turn the sign."
        ]
    nearest = table.loc[:, ["kl", name]].assign(cell=cell).sort_values("kl").groupby("cell")
    first, last = nearest.first(), nearest["kl"].last()
    most = table[name].abs().groupby(cell).max()
    near = np.sqrt(first["kl"] / last) < NEAR_START
    if (far := near & (first[name].abs() > most / 2)).sum() <= len(most) / 2:
        return []
    return [
        f"{name} is {first[name][far].iloc[0]:g} at KL = {first['kl'][far].iloc[0]:.2g}, more than"
        f" half of its largest value, and {law.name} rises from 0 at KL = 0. Are they raw scores?"
        " bl.relative_scores subtracts the initial policy's."
    ]


# ---- Directions


def _wrong_way(table: pd.DataFrame, law: Law, groups: Sequence[str]) -> list[str]:
    """A warning where the response rises with an input with which the law can only fall, or the
    reverse."""
    name = law.response.name
    y = table[name]
    found = []
    for argument, direction in law.monotone.items():
        column = law.columns.get(argument, argument)
        equal = [*(other for other in law.inputs if other != column), *groups]
        if seen := _against(y, table[column], _cells(table, equal), direction):
            found.append((column, seen, bool(equal)))
    directions = set(law.monotone.values())
    if not found and len(law.inputs) == len(law.monotone) > 1 and len(directions) == 1:
        product = np.log(table[list(law.inputs)]).sum(axis=1)
        if seen := _against(y, product, _cells(table, groups), *directions):
            found.append((" times ".join(law.inputs), seen, bool(groups)))
    if not found:
        return _turning(table, law, groups)
    falls = law.monotone[next(iter(law.monotone))] == "decreasing"
    verb, only = ("rises", "fall") if falls else ("falls", "rise")
    with_inputs = " and ".join(f"{what} ({seen})" for what, seen, _ in found)
    where = ", all else equal" if any(equal for *_, equal in found) else ""
    return [
        f"{name} {verb} with {with_inputs}{where}, and {law.name} can only {only}."
        f" {_instead(law, found[0][0].split()[0], falls)}"
    ]


def _turning(table: pd.DataFrame, law: Law, groups: Sequence[str]) -> list[str]:
    """A warning where, past its best, most of the response goes the way that the law excludes."""
    name = law.response.name
    y = pd.Series(law.response.link.forward(table[name].to_numpy(float)), index=table.index)
    found = []
    for argument, direction in law.monotone.items():
        column = law.columns.get(argument, argument)
        cell = _cells(table, [*(other for other in law.inputs if other != column), *groups])
        falls = direction == "decreasing"
        turned, curves, share = _turned(table[column], y if falls else -y, cell)
        if turned and share >= TURNED_SHARE:
            verb, best, end = ("rises", "lowest", "fall") if falls else ("falls", "highest", "rise")
            found.append(
                f"{name} {verb} again with {column} in {turned} of {curves} curves, past"
                f" the {best} of each, and {law.name} can only {end}. If runs overfit, or broke"
                f" down, leave out the rows past each curve's {best} {name}."
            )
    return found


def _turned(x: pd.Series, y: pd.Series, cell: pd.Series) -> tuple[int, int, float]:
    """How many cells have a y that, past its least, rises clearly with x to the end; how many were
    looked at; and the share of all rows that such cells have."""
    frame = pd.DataFrame({"x": x.to_numpy(), "y": y.to_numpy(), "cell": cell.to_numpy()})
    long = frame[frame.groupby("cell")["x"].transform("size") >= TURNED_POINTS]
    curves = long["cell"].unique()[:CURVES]
    seen = long[long["cell"].isin(curves)]
    rows = [len(part) for _, part in seen.groupby("cell") if _turns(part)]
    share = sum(rows) / max(len(seen), 1) * len(long) / len(frame)
    return len(rows), len(curves), share


def _turns(curve: pd.DataFrame) -> bool:
    """Whether the y of one cell rises clearly with x from its least to the end."""
    at = curve.groupby("x")["y"].mean().to_numpy()
    later = at[at.argmin() :]
    if len(later) < TURNED_POINTS:
        return False
    noise = float(np.median(abs(np.diff(at, 2)))) / 2
    steps = np.diff(later)
    clear = later[-1] - later[0] > max(TURNED_BY, 5 * noise)
    return bool(clear and steps[steps > 0].sum() > 0.9 * abs(steps).sum())


def _against(y: pd.Series, x: pd.Series, cell: pd.Series, direction: str) -> str:
    """How strongly, within cells, the response goes against the direction that the law has in x, in
    words; "" where it does not."""
    correlation, degrees, runs = _rank_correlation(x, y, cell)
    against = correlation if direction == "decreasing" else -correlation
    if against < WRONG_WAY or against**2 * degrees < STANDARD_ERRORS**2:
        return ""
    return f"rank correlation {correlation:.2f} over {runs} runs"


def _instead(law: Law, one: str, falls: bool) -> str:
    """What a response that goes the wrong way probably is, and what to do."""
    name = law.response.name
    if falls:
        return (
            "Is it a score, such as an accuracy? Then take a law of scores"
            f" (sigmoid_compute:input={one}), or give the error, 1 - accuracy, as the {name}. Or do"
            f" runs overfit? Leave out the rows past each one's lowest {name}."
        )
    if law.response.scale == "logit":
        return (
            f"Is it an error rate? Then 1 minus it is the {name}. Or do runs get worse after their"
            f" best? Leave out the rows past each one's highest {name}."
        )
    return "Look whether the columns are what their names say."


def _cells(table: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """The number of each row's combination of values in some columns."""
    if not len(columns):
        return pd.Series(0, index=table.index)
    # a column may have the name of the index
    rows = table[list(columns)].reset_index(drop=True)
    cell = rows.groupby(list(columns), sort=False, dropna=False).ngroup()
    return cell.set_axis(table.index)


def _rank_correlation(x: pd.Series, y: pd.Series, cell: pd.Series) -> tuple[float, int, int]:
    """Spearman's correlation within the cells in which x varies, its degrees of freedom, and the
    number of runs in these cells."""
    frame = pd.DataFrame({"x": x.to_numpy(), "y": y.to_numpy(), "cell": cell.to_numpy()})
    by = frame.groupby("cell")
    ranks = by[["x", "y"]].rank()
    centred = ranks - ranks.groupby(frame["cell"]).transform("mean")
    varies = by["x"].transform("nunique") > 1
    centred = centred[varies]
    norms = float(np.sqrt((centred["x"] ** 2).sum() * (centred["y"] ** 2).sum()))
    cells = int(frame["cell"][varies].nunique())
    correlation = float((centred["x"] * centred["y"]).sum()) / norms if norms else 0.0
    return correlation, int(varies.sum()) - cells, int(varies.sum())


# ---- Floors


def _near_floor(table: pd.DataFrame, law: Law, groups: Sequence[str]) -> list[str]:
    """A warning where a loss hardly falls any more over the whole range of the inputs."""
    floor = law.params.get("E")
    falling = [law.columns.get(x, x) for x, way in law.monotone.items() if way == "decreasing"]
    if floor is None or not falling or not law.response.lower_is_better:
        return []
    for name in falling:
        table = table[table[name] != law.inputs[name].none]
    cell = _cells(table, groups).to_numpy()
    x, y = np.log(table[falling]).sum(axis=1), np.log(table[law.response.name])
    x, y = (v - v.groupby(cell).transform("mean") for v in (x, y))
    span = float(x.groupby(cell).agg(np.ptp).max()) if len(x) else 0.0
    if span < np.log(FLOOR_RANGE) or len(x) - len(np.unique(cell)) < 4:
        return []
    near = x <= 0
    slope, early, late = _slope(x, y), _slope(x[near], y[near]), _slope(x[~near], y[~near])
    if not 0 < -slope < NEAR_FLOOR or late < early:
        return []
    variable = "E_at_centre" if floor.at_centre else "E"
    prior = ", such as Beta(alpha=20, beta=1)," if floor.support == "unit" else " near the runs"
    return [
        f"The runs lie near a floor: over a factor of {np.exp(span):.3g} in"
        f" {' and '.join(falling)}, {law.response.name} falls by {-np.expm1(slope * span):.1%}, and"
        " the less the farther it goes. Where targets are noisy, most of a loss is what no model"
        " can remove (as of a Poisson deviance or an RMSE), and the default prior of E expects"
        f" less: give {variable} a prior{prior} or subtract what is known of the floor."
    ]


def _slope(x: pd.Series, y: pd.Series) -> float:
    """The least-squares slope of y in x; 0 where x does not vary."""
    if len(x) < 2 or np.ptp(x) < 1e-6:
        return 0.0
    return float(np.polyfit(x, y, 1)[0])


# ---- Checkpoints


def _checkpoints(table: pd.DataFrame, law: Law, groups: Sequence[str]) -> list[str]:
    """A warning where rows that share a model look like checkpoints of its training.

    A table alone cannot tell them from models that were trained one by one: grids of model size and
    data have many rows a size too. But these are geometric, and what is logged along a run comes in
    equal steps, or with the count of the step, or is more than anybody would train. Residuals do
    not tell either: those of a grid are as alike along a model size, where the law is not quite
    right.
    """
    along = next((x for x in ("data_size", "compute") if x in law.inputs), "")
    curve = isinstance(law.discrepancy, Mapping) and law.discrepancy.get("kind") == "curve"
    if not along or "model_size" not in law.inputs or curve or law.discrepancy == "curve":
        return []
    others = [*(name for name in law.inputs if name != along), *groups]
    cell = _cells(table, others)
    counts = table[along].groupby(cell.to_numpy()).transform("nunique").to_numpy()
    signs = {
        "in equal steps": _in_equal_steps(table[along], cell),
        "with a count of steps": _counted(table, along, cell),
        f"in {MANY_ROWS} rows or more": counts >= MANY_ROWS,
    }
    how, rows = max(((sign, int(found.sum())) for sign, found in signs.items()), key=lambda x: x[1])
    if rows < len(table) / 2:
        return []
    by = [name for name in others if name == "model_size" or name in groups]
    return [
        f"{rows} of {len(table)} rows rise in {along} {how} at one {' and '.join(by)}, as"
        " checkpoints of one training run do. If these rows are checkpoints, their errors are in"
        " common: taken as runs of their own, they make bands too narrow for other models; and"
        " before the end of a learning-rate schedule they lie above what a run of that length"
        f" reaches. Say so with discrepancy 'curve' and curve_by={by}, or keep the last row of each"
        " run."
    ]


def _in_equal_steps(x: pd.Series, cell: pd.Series) -> np.ndarray:
    """Whether each row's cell has its values mostly in equal steps, (row,)."""
    frame = pd.DataFrame({"x": x.to_numpy(), "cell": cell.to_numpy()})
    distinct = frame.drop_duplicates().sort_values(["cell", "x"])
    step = distinct.groupby("cell")["x"].diff()
    middle = step.groupby(distinct["cell"]).transform("median")
    equal = (abs(step - middle) < 0.01 * middle).groupby(distinct["cell"]).sum()
    steps = step.notna().groupby(distinct["cell"]).sum()
    good = (equal >= EQUAL_STEPS - 1) & (equal >= 0.8 * steps)
    return np.asarray(frame["cell"].map(good), bool)


def _counted(table: pd.DataFrame, along: str, cell: pd.Series) -> np.ndarray:
    """Whether each row's cell of three values or more has a step that grows with its data,
    (row,)."""
    for name in table.columns:
        if str(name).lower() in STEP_COLUMNS and pd.api.types.is_numeric_dtype(table[name]):
            frame = pd.DataFrame(
                {
                    "step": table[name].to_numpy(float),
                    "per_step": (table[along] / table[name]).to_numpy(float),
                    "cell": cell.to_numpy(),
                }
            )
            by = frame.groupby("cell")
            ratio = by["per_step"].max() / by["per_step"].min()
            good = (by["step"].nunique() >= 3) & (ratio < 1.05)
            return np.asarray(frame["cell"].map(good), bool)
    return np.zeros(len(table), dtype=bool)
