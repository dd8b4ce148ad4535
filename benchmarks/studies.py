"""Three studies of public runs, from file to report: the verdict, the forecast of each option,
and the time.

``uv run python benchmarks/studies.py [--output FOLDER]``. The files are in ``benchmarks/studies``,
each with what really happened in a comment at its start.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import pandas as pd

import bayeslaw as bl
from bayeslaw.errors import BayeslawWarning

STUDIES = Path(__file__).parent / "studies"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output", type=Path, help="folder for the reports; default: a temporary one"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore", BayeslawWarning)
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for path in sorted(STUDIES.glob("*.toml")):
            started = time.perf_counter()
            result = bl.run_study(
                path, (options.output or Path(temporary)) / path.stem, progressbar=False
            )
            seconds = time.perf_counter() - started
            assert result.decision is not None and result.backtest is not None
            failed = ", ".join(check.name for check in result.checks if check.passed is False)
            covered = result.backtest.scores().loc["bayeslaw", "coverage_90"]
            for label, row in zip(
                result.decision.labels, result.decision.table.to_dict("records"), strict=True
            ):
                rows.append(
                    {
                        "study": path.stem,
                        "verdict": result.decision.verdict,
                        "option": label,
                        "p_target": row["p_target"],
                        "median": row["median"],
                        "lower_90": row["lower_90"],
                        "upper_90": row["upper_90"],
                        "coverage_90": covered,
                        "failed": failed,
                        "seconds": seconds,
                    }
                )
            print(path.stem, *result.decision.reasons, sep="\n  ")
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda x: f"{x:.4g}"))


if __name__ == "__main__":
    main()
