"""Simulated best-of-n and RL against nine reward models, seen part of the way: where will the true
score peak, and did it?
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
#: What is seen: RL up to this KL, best-of-n up to this n (Gao et al. 2022 formed their law on n up
#: to 1,000).
SEEN_KL, SEEN_N = 25.0, 1000
#: Reward models that the figure shows.
SHOWN = (3e6, 85e6, 3e9)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demonstration found.

    Attributes
    ----------
    fit : to what was seen.
    peaks : `bayeslaw.peaks`, a row for each method and reward model, with the true KL as
        ``simulated_truth``.
    stopping : `bayeslaw.stopping` of the RL runs at `SEEN_KL`.
    hidden : the points that were hidden, with their bands.
    curves : bands along KL for the figure. draws : KL at the peak, a row a draw, for the figure.
        table : all simulated points, for the figure.
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


def demo(random_seed: int = 1, *, progressbar: bool = True) -> Outcome:
    """Fit what is seen, say where the score peaks, and hold the hidden points and the simulated
    truth against that.
    """
    return hindsight(
        fit(LAW, seen_runs(marked()), random_seed=random_seed, progressbar=progressbar)
    )


def hindsight(fitted: Fit) -> Outcome:
    """Where the score peaks by a fit to what is seen, with the hidden points and the simulated
    truth beside it.
    """
    table = marked()
    truth = true_peaks(table.attrs["manifest"]["truth"])
    found = peaks(fitted)
    found["simulated_truth"] = [
        truth[method, f"{size:g}"]
        for method, size in zip(found["method"], found["reward_model_size"], strict=True)
    ]
    columns = ["method", "reward_model_size", "kl"]
    hidden = table[table["hidden"]].reset_index(drop=True)
    hidden = fitted.bands(hidden[columns]).assign(gold_score=hidden["gold_score"])
    kl = {
        "rl": np.linspace(0.05, 10, 90) ** 2,
        "bon": np.linspace(0.05, math.sqrt(float(kl_of_n(60_000))), 90) ** 2,
    }
    points = pd.DataFrame(
        [(method, size, x) for method in kl for size in SHOWN for x in kl[method]], columns=columns
    )
    drawn = []
    for method in kl:
        peak = fitted.quantity(f"kl_peak_{method}")
        for size in SHOWN:
            at = list(peak["group"].values).index(f"{size:g}")
            drawn.append(
                pd.DataFrame(
                    {
                        "method": method,
                        "reward_model_size": size,
                        "kl_peak": peak.isel(group=at).values.ravel(),
                    }
                )
            )
    shown = table[table["reward_model_size"].isin(SHOWN)]
    return Outcome(
        fitted,
        found,
        stopping(fitted, SEEN_KL, method="rl"),
        hidden,
        fitted.bands(points),
        pd.concat(drawn),
        shown,
    )


def true_peaks(truth: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    """KL at the peak, by method and reward model, from the manifest's coefficients."""
    found = {}
    for method in ("bon", "rl"):
        c = truth["coefficients_at_1e8_parameters"][f"gold_{method}"]
        for size, deviation in truth["deviation_of_log_beta_gold"].items():
            x = math.log10(float(size) / 1e8)
            alpha = c["alpha"] * math.exp(c["log_slope_of_alpha_per_decade"] * x)
            beta = c["beta"] * math.exp(c["log_slope_of_beta_per_decade"] * x + deviation)
            found[method, size] = float(
                find_law(f"overoptimization_{method}").value("kl_peak", alpha=alpha, beta=beta)
            )
    return found


def verdict(outcome: Outcome, prob: float = 0.9) -> list[str]:
    """In words: how many true peaks and hidden points lay inside, and what the forecast advised."""
    p = f"{100 * prob:g}"
    lines = []
    for method, name in (
        ("rl", f"RL, seen up to KL = {SEEN_KL:g}"),
        ("bon", f"best-of-n, seen up to n = {SEEN_N:,}"),
    ):
        peak = outcome.peaks[outcome.peaks["method"] == method]
        inside = (peak["simulated_truth"] >= peak[f"lower_{p}_kl_peak"]) & (
            peak["simulated_truth"] <= peak[f"upper_{p}_kl_peak"]
        )
        points = outcome.hidden[outcome.hidden["method"] == method]
        within = (points["gold_score"] >= points[f"lower_{p}"]) & (
            points["gold_score"] <= points[f"upper_{p}"]
        )
        lines.append(
            f"{name}: {inside.sum()} of {len(peak)} simulated true KLs at the peak inside their {p}"
            f" % interval; {within.sum()} of {len(points)} simulated scores beyond it inside their"
            f" {p} % band."
        )
    for advice in ("stop", "evaluate", "go on"):
        rows = outcome.stopping[outcome.stopping["advice"] == advice]
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
