"""Simulated best-of-n and RL against nine reward models, the first part of each curve seen: where
will the true score peak, and where did it?
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.answers.overoptimization import peaks, stopping
from bayeslaw.fitted import Fit
from bayeslaw.fitting import fit
from bayeslaw.laws.kl import kl_of_n
from bayeslaw.laws.registry import law as find_law
from bayeslaw.runs.datasets import dataset
from bayeslaw.runs.table import Runs, read_runs

LAW, SET = "overoptimization", "overoptimization_simulated"
POLICY = 1.2e9
#: The fit sees RL up to this KL, and best-of-n up to this n (Gao et al. 2022 fitted their law to n
#: up to 1,000).
SEEN_KL, SEEN_N = 25.0, 1000
#: Reward models that the figure shows.
SHOWN = (3e6, 85e6, 3e9)
#: The columns of a point.
POINT = ["method", "reward_model_size", "kl"]


@dataclass(frozen=True, slots=True)
class Hindsight:
    """The forecasts, and the hidden points and simulated truth beside them.

    Attributes
    ----------
    fit : to the points that were seen.
    peaks : `bayeslaw.peaks`, a row for each method and reward model, with the true KL as
        ``simulated_truth``.
    stopping : `bayeslaw.stopping` of the RL runs at `SEEN_KL`.
    hidden : the points that were hidden, with their bands.
    curves : bands along KL, for the figure.
    draws : KL at the peak, a row for each draw, for the figure.
    table : all simulated points of the reward models in the figure.
    """

    fit: Fit
    peaks: pd.DataFrame
    stopping: pd.DataFrame
    hidden: pd.DataFrame
    curves: pd.DataFrame
    draws: pd.DataFrame
    table: pd.DataFrame


def seen_runs(table: pd.DataFrame) -> Runs:
    """The points that the fit sees."""
    return read_runs(table[~table["hidden"]], LAW, groups=["method", "reward_model_size"])


def marked() -> pd.DataFrame:
    """The simulated points of one policy, with the column ``hidden``."""
    table = dataset(SET)
    table = table[table["policy_size"] == POLICY]
    hidden = ((table["method"] == "rl") & (table["kl"] > SEEN_KL)) | (
        (table["method"] == "bon") & (table["n"] > SEEN_N)
    )
    marked = table.assign(hidden=hidden).reset_index(drop=True)
    marked.attrs = table.attrs
    return marked


def demo(random_seed: int = 1, *, progressbar: bool = True) -> Hindsight:
    """Fit the points that are seen, and compare where the score peaks with the simulated truth."""
    return hindsight(
        fit(LAW, seen_runs(marked()), random_seed=random_seed, progressbar=progressbar)
    )


def hindsight(fitted: Fit) -> Hindsight:
    """Where the score peaks according to a fit to the points that are seen, and the hidden points
    and simulated truth.
    """
    table = marked()
    truth = true_peaks(table.attrs["manifest"]["truth"])
    at_peak = peaks(fitted)
    at_peak["simulated_truth"] = [
        truth[method, f"{size:g}"]
        for method, size in zip(at_peak["method"], at_peak["reward_model_size"], strict=True)
    ]
    hidden = table[table["hidden"]].reset_index(drop=True)
    return Hindsight(
        fit=fitted,
        peaks=at_peak,
        stopping=stopping(fitted, SEEN_KL, method="rl"),
        hidden=fitted.bands(hidden[POINT]).assign(gold_score=hidden["gold_score"]),
        curves=fitted.bands(_points_along_kl()),
        draws=_draws_of_peaks(fitted),
        table=table[table["reward_model_size"].isin(SHOWN)],
    )


def _points_along_kl() -> pd.DataFrame:
    """Points for the curves of the figure, evenly spaced in sqrt(KL)."""
    kl = {
        "rl": np.linspace(0.05, 10, 90) ** 2,
        "bon": np.linspace(0.05, math.sqrt(float(kl_of_n(60_000))), 90) ** 2,
    }
    rows = [(method, size, x) for method in kl for size in SHOWN for x in kl[method]]
    return pd.DataFrame(rows, columns=POINT)


def _draws_of_peaks(fitted: Fit) -> pd.DataFrame:
    """KL at the peak of the reward models in the figure, a row for each draw."""
    tables = []
    for method in ("rl", "bon"):
        kl_peak = fitted.quantity(f"kl_peak_{method}")
        groups = list(kl_peak["group"].values)
        for size in SHOWN:
            values = kl_peak.isel(group=groups.index(f"{size:g}")).values.ravel()
            columns = {"method": method, "reward_model_size": size, "kl_peak": values}
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables)


def true_peaks(truth: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    """KL at the peak, by method and reward model, from the coefficients in the manifest."""
    peak = {}
    for method in ("bon", "rl"):
        c = truth["coefficients_at_1e8_parameters"][f"gold_{method}"]
        for size, deviation in truth["deviation_of_log_beta_gold"].items():
            x = math.log10(float(size) / 1e8)
            alpha = c["alpha"] * math.exp(c["log_slope_of_alpha_per_decade"] * x)
            beta = c["beta"] * math.exp(c["log_slope_of_beta_per_decade"] * x + deviation)
            peak[method, size] = float(
                find_law(f"overoptimization_{method}").value("kl_peak", alpha=alpha, beta=beta)
            )
    return peak


def verdict(hindsight: Hindsight, prob: float = 0.9) -> list[str]:
    """Sentences: how many true peaks and hidden points are inside, and the advice."""
    p = f"{100 * prob:g}"
    lines = []
    for method, name in (
        ("rl", f"RL, seen up to KL = {SEEN_KL:g}"),
        ("bon", f"best-of-n, seen up to n = {SEEN_N:,}"),
    ):
        peak = hindsight.peaks[hindsight.peaks["method"] == method]
        inside = (peak["simulated_truth"] >= peak[f"lower_{p}_kl_peak"]) & (
            peak["simulated_truth"] <= peak[f"upper_{p}_kl_peak"]
        )
        points = hindsight.hidden[hindsight.hidden["method"] == method]
        within = (points["gold_score"] >= points[f"lower_{p}"]) & (
            points["gold_score"] <= points[f"upper_{p}"]
        )
        lines.append(
            f"{name}: {inside.sum()} of {len(peak)} simulated true KLs at the peak inside their {p}"
            f" % interval; {within.sum()} of {len(points)} simulated scores beyond it inside their"
            f" {p} % band."
        )
    for advice in ("stop", "evaluate", "go on"):
        rows = hindsight.stopping[hindsight.stopping["advice"] == advice]
        if len(rows):
            sizes = ", ".join(
                f"{size:.3g} ({past:.0%})"
                for size, past in zip(rows["reward_model_size"], rows["p_past_peak"], strict=True)
            )
            lines.append(
                f"RL at KL = {SEEN_KL:g}, advice {advice!r} for reward models of (probability that"
                f" the peak is past): {sizes}."
            )
    return lines
