"""What benchmarks share: arguments, one table of scores, its JSON; and for simulated studies,
truths that are drawn from a prior.
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

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

import bayeslaw as bl
from bayeslaw.errors import BayeslawWarning
from bayeslaw.model.build import build
from bayeslaw.posterior.draws import Convergence

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
    """``--data --json --seed`` and the sampling effort; ``data`` are the default files, below the
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
        "--draws", type=int, default=draws, help="draws and tuning steps of each of 4 chains"
    )
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser


def truths(
    spec: bl.ModelSpec, runs: bl.Runs, n: int, seed: int, within: float = 0.05, pool: int = 60
) -> bl.Fit:
    """A Fit whose n draws are simulated truths from the prior of ``spec``, given the typical
    response of ``runs``.

    Priors of losses are in units of each table's own typical response. The draws are therefore
    those whose curve has a typical response within 5 % of the unit that they were drawn with: the
    population that the prior describes when it takes its unit from the table.

    Parameters
    ----------
    spec : resolved, without a discrepancy.
    runs : the design; of their responses only the typical one is used.
    pool : draws that are made for each one wanted.
    """
    model = build(spec, runs)
    names = [v.name for v in (*model.free_RVs, *model.deterministics) if v.name != "response"]
    with model:
        prior = pm.sample_prior_predictive(pool * n, random_seed=seed, var_names=names)[
            "prior"
        ].to_dataset()
    as_if = Convergence(1.0, "", 1e9, "", 1e9, "", 0)
    drawn = bl.Fit(spec, runs, xr.DataTree.from_dict({"posterior": prior}), as_if, seed, (), {})
    typical = np.log(drawn.predict(runs.table, "mean").values[0]).mean(axis=1)
    kept = np.flatnonzero(abs(typical - np.log(runs.typical_response)) < within)[:n]
    if len(kept) < n:
        raise ValueError(
            f"Only {len(kept)} of {pool * n} draws of the prior have a typical response within"
            f" {within:.0%}; {n} are wanted."
        )
    return bl.Fit(
        spec, runs, xr.DataTree.from_dict({"posterior": prior.isel(draw=kept)}), as_if, seed, (), {}
    )


def run(
    spec: bl.ModelSpec, runs: bl.Runs, holdout: str, options: argparse.Namespace, **more: object
) -> bl.Backtest:
    """One backtest, with what did not converge said by `rows`."""
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
    """A row a method: scores averaged over the hidden runs, or over the runs of each group of
    ``per`` and then over groups.
    """
    table = result.scores(("method", *per)).rename(columns={"rmse": "rmsle"})
    counts = table.groupby("method", sort=False)[["runs", "predicted"]].sum()
    means = table.groupby("method", sort=False)[SCORES].mean()
    found = []
    for method, scores in means.iterrows():
        row = {"method": method, "data": data.stem, "split": split} | {
            name: None if pd.isna(x) else float(x) for name, x in scores.items()
        }
        row |= {name: int(counts.loc[method, name]) for name in counts} | {
            "seconds": result.seconds[str(method)]
        }
        found.append(row)
    (fit,) = result.fits.values()
    found[0] |= {"converged": fit.convergence.passed}
    print(f"{data.stem}, {split}: {len(fit.runs)} runs seen; {fit.convergence}", flush=True)
    return found


def report(found: list[dict[str, object]], options: argparse.Namespace) -> None:
    """Print the table, and write the JSON where it was asked for."""
    print(
        pd.DataFrame(found).to_string(
            index=False, float_format=lambda value: f"{value:.4f}", na_rep="-"
        )
    )
    if options.json:
        options.json.write_text(
            json.dumps({"rows": found, "bayeslaw": bl.__version__, "seed": options.seed}, indent=1)
        )
