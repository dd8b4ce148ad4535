"""Whether the probabilities that `bl.decide` states are right, over simulated studies.

``uv run python benchmarks/reliability.py [--studies 200] [--json FILE] [--seed 1]``. Each study: a
truth, runs with noise, a refit (one compile an arm), targets for a run about ten times beyond them,
the decision of `bl.decide` for each, and the run itself. Arms, all simulated:

- the right law: `chinchilla`, 20 runs; truths are draws of the fit's own prior, the option has ten
  times the largest model size and data.
- a law that is slightly wrong: learning curves of 24 points over two decades, fitted by `power`;
  their exponent changes once and smoothly, by a factor of exp(N(0, .3)), anywhere between the
  middle of the points and the option (Caballero et al. 2023, arXiv 2210.14891). With the default
  discrepancy, and with none. And the same curves without that change.

Targets depend on the table and on random numbers of their own: five quantiles of the posterior
predictive, one in each fifth, and one that lies a uniform 0 to 30 % below the lowest loss of the
runs.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from common import simulated_arguments, truths
from scipy import optimize, stats

import bayeslaw as bl
from bayeslaw.decisions.go_no_go import decision_on, forecast, verdict_of
from bayeslaw.defaults import TARGET_ACCEPT, TARGET_ACCEPT_CURVES
from bayeslaw.errors import BayeslawWarning
from bayeslaw.model.build import build
from bayeslaw.model.convergence import convergence
from bayeslaw.model.sampling import Compiled
from bayeslaw.spec.resolve import resolve
from bayeslaw.spec.settings import SamplerSettings

#: The unit of the simulated losses, in nats.
TYPICAL = 2.5
#: Targets that are quantiles of the posterior predictive, one in each such part of (0, 1).
QUANTILES = 5
#: Decades beyond the runs up to which verdicts are counted: the option is ten times beyond them in
#: each of two inputs, so that the compute is a hundred times theirs.
FAR = 2.5
#: How far below the lowest loss of the runs the free target lies at most.
FREE = 0.3
#: The sd of the log of the factor by which the exponent of a curve changes, and the width of the
#: change in e-folds.
CHANGE, WIDTH = 0.3, 0.5
#: R-hat above which chains are called stuck: with so few draws 1.01 is seldom reached.
STUCK = 1.05


@dataclass(frozen=True, slots=True)
class Arm:
    """Simulated tables of one kind, and the spec that is fitted to them."""

    name: str
    spec: bl.ModelSpec
    inputs: pd.DataFrame
    option: dict[str, list[float]]
    wrong: bool
    target_accept: float


def _arms() -> dict[str, Arm]:
    size, data = np.meshgrid(np.geomspace(5e7, 1e9, 5), np.geomspace(1e9, 2e10, 4))
    grid = pd.DataFrame({"model_size": size.ravel(), "data_size": data.ravel()})
    curve, end = pd.DataFrame({"data_size": np.geomspace(1e7, 1e9, 24)}), {"data_size": [1e10]}
    alone = bl.ModelSpec("power", discrepancy="none")
    arms = [
        Arm(
            "right law",
            bl.ModelSpec("chinchilla"),
            grid,
            {"model_size": [1e10], "data_size": [2e11]},
            False,
            TARGET_ACCEPT,
        ),
        Arm(
            "right curve, discrepancy 'curve'",
            bl.ModelSpec("power"),
            curve,
            end,
            False,
            TARGET_ACCEPT_CURVES,
        ),
        Arm(
            "slightly wrong, discrepancy 'curve'",
            bl.ModelSpec("power"),
            curve,
            end,
            True,
            TARGET_ACCEPT_CURVES,
        ),
        Arm("slightly wrong, discrepancy 'none'", alone, curve, end, True, TARGET_ACCEPT),
    ]
    return {arm.name: arm for arm in arms}


ARMS = _arms()


def losses(arm: Arm, studies: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulated losses of the runs, (study, run), and of the option, (study,), noise and all; and
    by how much the best curve of the fitted law through the runs without noise misses the option
    without noise, (study,), on the log scale.
    """
    without = arm.spec.discrepancy.kind == "none" and not arm.wrong
    spec = bl.ModelSpec(
        arm.spec.law, discrepancy="none", noise="student_t" if without else "normal"
    )
    runs = bl.read_runs(arm.inputs.assign(loss=TYPICAL), spec.law)
    truth = truths(resolve(spec, runs), runs, studies, seed)
    points = pd.concat([arm.inputs, pd.DataFrame(arm.option)], ignore_index=True)
    mean, noisy = (np.log(truth.predict(points, kind).values[0]) for kind in ("mean", "run"))
    if not arm.wrong:
        return np.exp(noisy[:, :-1]), np.exp(noisy[:, -1]), np.zeros(studies)
    rng = np.random.default_rng([seed, 5])
    x = points["data_size"].to_numpy(float)
    params = {name: truth.quantity(name).values.reshape(studies, 1) for name in ("alpha", "E")}
    start = np.exp(rng.uniform(np.log(1e8), np.log(1e10), (studies, 1)))
    change = params["alpha"] * (np.exp(rng.normal(0, CHANGE, (studies, 1))) - 1)
    bent = np.log(
        params["E"]
        + (np.exp(mean) - params["E"])
        * np.exp(-change * WIDTH * np.logaddexp(0, np.log(x / start) / WIDTH))
    )
    noisy = noisy - mean + bent
    return np.exp(noisy[:, :-1]), np.exp(noisy[:, -1]), np.array([_missed(x, y) for y in bent])


def _missed(x: np.ndarray, log_loss: np.ndarray) -> float:
    """By how much the power law nearest to all points but the last, on the log scale, misses the
    last.
    """

    def residual(p: np.ndarray) -> np.ndarray:
        return np.logaddexp(p[0] - np.exp(p[1]) * np.log(x / x[:-1].mean()), p[2]) - log_loss

    starts = [
        np.array([log_loss[:-1].mean() - 0.7, np.log(slope), log_loss.min() - 0.7])
        for slope in (0.05, 0.2, 0.8)
    ]
    best = min(
        (
            optimize.least_squares(lambda p: residual(p)[:-1], start, max_nfev=400)
            for start in starts
        ),
        key=lambda solution: solution.cost,
    )
    return float(residual(best.x)[-1])


def decisions(
    arm: Arm, studies: int, seed: int, draws: int
) -> tuple[pd.DataFrame, dict[str, float]]:
    """A row for each decision: study, stated probability, whether the target was met, the verdict,
    R-hat; and figures of the arm as a whole.
    """
    seen, actual, missed = losses(arm, studies, seed)
    started, first, rows, compiled = time.perf_counter(), 0.0, [], None
    for study in range(studies):
        runs = bl.read_runs(arm.inputs.assign(loss=seen[study]), arm.spec.law)
        if compiled is None:
            design = resolve(arm.spec, runs)
            compiled = Compiled(build(design, runs), refit=True)
        # Two chains, because each has a warm-up to pay for: as many draws as four of `draws` each.
        settings = SamplerSettings(
            2 * draws, draws, 2, arm.target_accept, seed + study, progressbar=False
        )
        tree = compiled.sample(
            settings, {"y": np.log(runs.y), "typical_response": runs.typical_response}
        )
        fit = bl.Fit(design, runs, tree, convergence(tree), seed + study, (), {})
        first = first or time.perf_counter() - started
        # `bl.decide` for several targets: all that it does, with one forecast for all of them.
        ahead = forecast(fit, pd.DataFrame(arm.option), far=FAR)
        for kind, target in _targets(fit, arm, seed):
            decision = decision_on(ahead, np.zeros(1), target)
            stated = float(decision.table["p_target"].iloc[0])
            rows.append(
                {
                    "study": study,
                    "kind": kind,
                    "stated": stated,
                    "met": float(actual[study] <= target),
                    "verdict": _verdict(decision),
                    "rhat": fit.convergence.rhat,
                    "converged": fit.convergence.passed,
                }
            )
    each = pd.DataFrame(rows)
    by_study = each.groupby("study")[["rhat", "converged"]].first()
    return each, {
        "studies": studies,
        "not_converged": int((~by_study["converged"]).sum()),
        "stuck": int((by_study["rhat"] > STUCK).sum()),
        "missed_median": float(np.median(abs(missed))),
        "missed_90": float(np.quantile(abs(missed), 0.9)),
        "first": first,
        "seconds": (time.perf_counter() - started - first) / max(studies - 1, 1),
    }


def _verdict(decision: bl.Decision) -> str:
    """The verdict without the doubts about convergence: so few draws fail by their number, and it
    would be "inconclusive" for that alone.
    """
    if set(decision.doubts) - set(decision.general_doubts):
        return "inconclusive"
    return verdict_of(decision.table, decision.chosen, decision.go_at, decision.no_go_at)


def _targets(fit: bl.Fit, arm: Arm, seed: int) -> Iterator[tuple[str, float]]:
    """Targets of one study, with other random numbers than the truth, the noise and the fit."""
    rng = np.random.default_rng([seed, 6, fit.random_seed])
    # Noise of another seed than the decision's: a target must not be a quantile of the draws that
    # the decision uses.
    predicted = fit.predict(arm.option, "run", random_seed=10_000 + fit.random_seed).values.ravel()
    for u in (np.arange(QUANTILES) + rng.random(QUANTILES)) / QUANTILES:
        yield "quantile", float(np.quantile(predicted, u))
    yield "free", float(fit.runs.y.min() * (1 - FREE * rng.random()))


def reliability(each: pd.DataFrame) -> pd.DataFrame:
    """A row for each decile of the stated probability: decisions, mean stated, share met, and the
    error of their difference with the study as the unit.

    Decisions of one study stand or fall together, so the variance is that of the studies' sums of
    (met - stated), whose mean is 0 where what is stated is right; and never less than what
    independent decisions would have, which few decisions may hide.
    """
    decile = np.minimum((each["stated"] * 10).astype(int), 9)
    excess = each["met"] - each["stated"]
    rows = []
    for k, some in each.groupby(decile):
        by_study = excess[some.index].groupby(some["study"]).sum()
        error = np.sqrt(
            max((by_study**2).sum(), (some["stated"] * (1 - some["stated"])).sum())
        ) / len(some)
        gap = some["met"].mean() - some["stated"].mean()
        rows.append(
            {
                "decile": f"{k / 10:.1f}-{(k + 1) / 10:.1f}",
                "decisions": len(some),
                "stated": some["stated"].mean(),
                "met": some["met"].mean(),
                "error": error,
                "z": gap / error,
            }
        )
    return pd.DataFrame(rows)


def overall(each: pd.DataFrame) -> tuple[float, float]:
    """Hotelling's T-squared of the studies' sums of (met - stated) by decile, and its p-value: all
    deciles at once, with their correlations.
    """
    decile = np.minimum((each["stated"] * 10).astype(int), 9)
    sums = (
        (each["met"] - each["stated"])
        .groupby([each["study"], decile])
        .sum()
        .unstack(fill_value=0.0)
        .to_numpy()
    )
    n, k = sums.shape
    mean = sums.mean(axis=0)
    squared = float(n * mean @ np.linalg.solve(np.cov(sums.T), mean))
    return squared, float(stats.f.sf(squared * (n - k) / (k * (n - 1)), k, n - k))


def sureness(each: pd.DataFrame) -> float:
    """Whether what is stated is too sure or too cautious, in units of its error: the studies' sums
    of (stated - met) (stated - 1/2), whose mean is 0 where what is stated is right. Above 0 targets
    of high probability are missed and those of low probability met too often; below 0, too seldom.
    """
    sums = ((each["stated"] - each["met"]) * (each["stated"] - 0.5)).groupby(each["study"]).sum()
    return float(sums.sum() / np.sqrt((sums**2).sum()))


def verdicts(each: pd.DataFrame) -> dict[str, float]:
    """Shares of verdicts, and of targets met among them."""
    shares = {
        f"share_{verdict}": float((each["verdict"] == verdict).mean())
        for verdict in ("go", "no-go", "inconclusive")
    }
    return shares | {
        f"met_{verdict}": float(each.loc[each["verdict"] == verdict, "met"].mean())
        for verdict in ("go", "no-go")
    }


def judged(arm: Arm, studies: int, seed: int, draws: int) -> tuple[pd.DataFrame, dict[str, float]]:
    """The reliability table of an arm, and its figures."""
    each, figures = decisions(arm, studies, seed, draws)
    squared, p = overall(each)
    figures |= {
        "t_squared": squared,
        "p_value": p,
        "sureness": sureness(each),
        "decisions": len(each),
        **verdicts(each),
    }
    figures |= {f"{name}_free": x for name, x in verdicts(each[each["kind"] == "free"]).items()}
    well = each[each["rhat"] <= STUCK]
    # what is left where studies with stuck chains are left out
    figures["largest_z_of_others"] = float(abs(reliability(well)["z"]).max())
    return reliability(each), figures


def main() -> None:
    options: argparse.Namespace = simulated_arguments(__doc__, studies=200, draws=300).parse_args()
    warnings.simplefilter("ignore", BayeslawWarning)
    rows = []
    for name, arm in ARMS.items():
        table, figures = judged(arm, options.studies, options.seed, options.draws)
        rows.append({"arm": name, **figures, "deciles": table.to_dict("records")})
        print(
            f"\n{name}"
            f" (simulated)\n{table.to_string(index=False, float_format=lambda x: f'{x:.3f}')}",
            flush=True,
        )
        print({key: round(x, 3) for key, x in figures.items()}, flush=True)
    if options.json:
        options.json.write_text(
            json.dumps(
                {
                    "rows": rows,
                    "bayeslaw": bl.__version__,
                    "seed": options.seed,
                    "simulated": True,
                },
                indent=1,
            )
        )


if __name__ == "__main__":
    main()
