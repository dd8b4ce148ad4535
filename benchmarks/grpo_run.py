"""One RL run against a proxy reward, watched: how sure could one have been, after each part of it,
that the true score had peaked?

``uv run python benchmarks/grpo_run.py [--data FILE] [--json FILE] [--plot FILE]``. The run logs
gold accuracy, which is a rate. Its KL is per token; KL per sequence is an estimate, the mean
completion length times it, and the laws are of KL per sequence. One run, noisy: nothing is pooled.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pandas as pd
from common import arguments, report

import bayeslaw as bl
from bayeslaw.errors import BayeslawWarning

LAW = "overoptimization_rl_rate"
COLUMNS = {"gold_rate": "gold_acc", "kl": "kl_seq_est"}
#: Logged rows seen (every tenth step), and the step at which the authors report the peak.
SEEN, AUTHORS = range(10, 51, 5), 200


def watch(table: pd.DataFrame, seen: list[int], **settings: Any) -> pd.DataFrame:
    """`bayeslaw.peaks` after each number of logged rows, with the steps seen."""
    tables = []
    for rows in seen:
        runs = bl.read_runs(table.head(rows), LAW, columns=COLUMNS)
        fit = bl.fit(LAW, runs, progressbar=False, **settings)
        tables.append(
            bl.peaks(fit, current_kl=float(runs.table["kl"].iloc[-1])).assign(
                steps_seen=int(table["step"].iloc[rows - 1])
            )
        )
    return pd.concat(tables, ignore_index=True)


def main() -> None:
    parser = arguments(__doc__, ["overoptimization/grpo_run.csv"])
    parser.add_argument("--plot", type=Path, help="where to draw it (PNG)")
    options = parser.parse_args()
    warnings.simplefilter("ignore", BayeslawWarning)
    (path,) = options.data
    table = pd.read_csv(path)
    watched = watch(
        table,
        [n for n in SEEN if n <= len(table)],
        draws=options.draws,
        tune=options.draws,
        random_seed=options.seed,
        attempts=options.attempts,
    )
    kl_of_authors = table.loc[table["step"] == AUTHORS, "kl_seq_est"]
    authors = None if kl_of_authors.empty else float(kl_of_authors.iloc[0])
    watched = watched.assign(
        method="bayeslaw", split=watched["steps_seen"], peak_of_authors=authors
    )
    watched["authors_inside_90"] = (
        (watched["lower_90_kl_peak"] <= authors) & (authors <= watched["upper_90_kl_peak"])
        if authors
        else None
    )
    keep = [
        "method",
        "split",
        "current_kl",
        "kl_peak",
        "lower_90_kl_peak",
        "upper_90_kl_peak",
        "p_past_peak",
        "no_peak_below",
        "p_no_peak",
        "peak_of_authors",
        "authors_inside_90",
        "converged",
    ]
    if options.plot:
        from bayeslaw import plots

        plots.watched(
            watched,
            x="steps_seen",
            authors=authors,
            title="One GRPO run; KL per sequence is an estimate",
        )[0].figure.savefig(options.plot, dpi=150)
    report(watched[keep].to_dict("records"), options)


if __name__ == "__main__":
    main()
