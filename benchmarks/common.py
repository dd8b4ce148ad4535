"""Shared by the benchmarks: arguments, a table of scores and its JSON, and truths for simulated
studies, drawn from a prior.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

import bayeslaw as bl
from bayeslaw.errors import BayeslawWarning
from bayeslaw.model.build import build
from bayeslaw.posterior.draws import Convergence
from bayeslaw.spec.design import Design

#: Public runs, beside the checkout.
PUBLIC = Path(__file__).parents[2] / "shared" / "data"
SCORES = ["rmsle", "relative_error", "log_density", "crps", "coverage_50", "coverage_90"]


def from_data(script: str) -> ModuleType:
    """A script of the folder ``data``, which simulates."""
    sys.path.append(str(Path(__file__).parents[1] / "data"))
    return importlib.import_module(script)


def arguments(
    doc: str | None, data: Sequence[str], draws: int = 1000, attempts: int = 2
) -> argparse.ArgumentParser:
    """``--data --json --seed`` and the sampler settings; ``data`` are the default files, below the
    folder of public runs.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        default=[PUBLIC / name for name in data],
        help="files of the same format",
    )
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--draws", type=int, default=draws, help="draws and tuning steps of each of 4 chains"
    )
    parser.add_argument(
        "--attempts", type=int, default=attempts, help="tries until the chains converge"
    )
    parser.add_argument("--no-baselines", action="store_true")
    return parser


def simulated_arguments(doc: str | None, studies: int, draws: int) -> argparse.ArgumentParser:
    """``--studies --seed --json`` and the draws of a study."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=studies)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--draws",
        type=int,
        default=draws,
        help="tuning steps of each of 2 chains, which give twice as many draws",
    )
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser


def truths(
    design: Design, runs: bl.Runs, n: int, seed: int, within: float = 0.05, pool: int = 60
) -> bl.Fit:
    """A Fit whose n draws are simulated truths from the prior of a design, given the typical
    response of ``runs``.

    The prior of a loss has the typical response of the table as its unit. Only those draws are
    therefore kept whose curve has a typical response within 5 % of this unit: the population that
    the prior describes.

    Parameters
    ----------
    design : of a spec without a discrepancy.
    runs : where the truths are evaluated; only the typical one of their responses is used.
    n, pool : truths to return, and draws of the prior for each of them.
    within : largest difference of the log of the typical response.
    """
    model = build(design, runs)
    names = [v.name for v in (*model.free_RVs, *model.deterministics) if v.name != "response"]
    with model:
        prior = pm.sample_prior_predictive(pool * n, random_seed=seed, var_names=names)[
            "prior"
        ].to_dataset()
    as_if = Convergence(1.0, "", 1e9, "", 1e9, "", 0)
    tree = xr.DataTree.from_dict({"posterior": prior})
    drawn = bl.Fit(design, runs, tree, as_if, seed, (), {})
    typical = np.log(drawn.predict(runs.table, "mean").values[0]).mean(axis=1)
    kept = np.flatnonzero(abs(typical - np.log(runs.typical_response)) < within)[:n]
    if len(kept) < n:
        raise ValueError(
            f"Only {len(kept)} of {pool * n} draws of the prior have a typical response within"
            f" {within:.0%}; {n} are wanted."
        )
    return drawn.with_draws(prior.isel(draw=kept))


def run(
    spec: bl.ModelSpec, runs: bl.Runs, holdout: str, options: argparse.Namespace, **more: Any
) -> bl.Backtest:
    """One backtest, without warnings: `rows` prints whether the chains converged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayeslawWarning)
        return bl.backtest(
            spec,
            runs,
            holdout,
            baselines=not options.no_baselines,
            draws=options.draws,
            tune=options.draws,
            attempts=options.attempts,
            random_seed=options.seed,
            progressbar=False,
            **more,
        )


def rows(
    result: bl.Backtest, split: str, data: Path, per: Sequence[str] = ()
) -> list[dict[str, object]]:
    """A row for each method: scores averaged over the hidden runs, or, with ``per``, over the runs
    of each group and then over groups.
    """
    table = result.scores(("method", *per)).rename(columns={"rmse": "rmsle"})
    counts = table.groupby("method", sort=False)[["runs", "predicted"]].sum()
    means = table.groupby("method", sort=False)[SCORES].mean()
    rows: list[dict[str, object]] = []
    for method, scores in means.iterrows():
        row: dict[str, object] = {"method": method, "data": data.stem, "split": split}
        row |= {name: None if pd.isna(x) else float(x) for name, x in scores.items()}
        row |= {name: int(counts.loc[method, name]) for name in counts}
        row |= {"seconds": result.seconds[str(method)]}
        rows.append(row)
    (fit,) = result.fits.values()
    (p_of_coverage,) = result.coverage_p.values()
    rows[0] |= {"coverage_p": p_of_coverage, "converged": fit.convergence.passed}
    print(f"{data.stem}, {split}: {len(fit.runs)} runs seen; {fit.convergence}", flush=True)
    return rows


def report(rows: list[dict[str, object]], options: argparse.Namespace) -> None:
    """Print the rows as a table, and write them as JSON if ``--json`` was given."""
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.4f}".format, na_rep="-"))
    if options.json:
        results = {"rows": rows, "bayeslaw": bl.__version__, "seed": options.seed}
        options.json.write_text(json.dumps(results, indent=1))
