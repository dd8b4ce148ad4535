"""Learning curves, Training = 1 seen, the rest hidden: ``uv run python
benchmarks/learning_curves.py [--data FILE] [--json FILE]``.

One fit of all curves. Scores are means over the points of each curve, then over curves; ``seconds``
are per curve.

In the published files the seen part of a curve is its evaluations averaged in bins of log examples,
and the hidden part is the evaluations themselves, whose noise is that much larger. How many each
seen point is the mean of follows from the spacing of the points alone, and is given to the fit as
the column ``averaged``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from common import arguments, report, rows, run

import bayeslaw as bl

COLUMNS = {"task": "Task", "model": "Model", "data_size": "Seen Examples", "loss": "Loss"}


def averaged(curve: pd.DataFrame) -> pd.Series:
    """How many evaluations each point is the mean of: the spacing of seen points over the spacing
    of hidden ones.
    """
    curve = curve.sort_values("Seen Examples")
    seen, hidden = (
        curve[curve["Training"] == 1]["Seen Examples"],
        curve[curve["Training"] == 0]["Seen Examples"],
    )
    count = np.maximum(1.0, np.gradient(seen) / hidden.diff().median())
    return pd.Series(count, index=seen.index).reindex(curve.index, fill_value=1.0)


def main() -> None:
    options = arguments(
        __doc__, ["learning_curves/vision_birds_imagenet.csv"], draws=400, attempts=1
    ).parse_args()
    results = []
    for path in options.data:
        table = pd.read_csv(path)
        curves = [curve for _, curve in table.groupby(["Task", "Model"])]
        table = pd.concat([curve.assign(averaged=averaged(curve)) for curve in curves])
        runs = bl.read_runs(table, "saturating_power", columns=COLUMNS, groups=["task", "model"])
        result = run(bl.ModelSpec("saturating_power"), runs, "Training == 0", options)
        for row in rows(result, "Training = 0", path, per=["task", "model"]):
            seconds = result.seconds[str(row["method"])] / len(curves)
            results.append(row | {"seconds": seconds})
    report(results, options)


if __name__ == "__main__":
    main()
