"""Best-of-n against reward models of five data sizes: coefficients beside the authors', and larger
n predicted from smaller ones.

``uv run python benchmarks/best_of_n.py [--data FILE] [--json FILE]``. ``split`` is the largest n
that the fit sees. ``rmsle`` is here the root mean square error of the score itself: it has no
logarithm.
"""

from __future__ import annotations

import warnings

import pandas as pd
from common import arguments, report, rows, run

import bayeslaw as bl
from bayeslaw.checks.residuals import check_residuals
from bayeslaw.errors import BayeslawWarning
from bayeslaw.spec.settings import Sampling

LAW = "overoptimization_bon"
COLUMNS = {"gold_score": "gold_score_std", "reward_model_data": "proxy_data_size"}
#: The authors' 95 % intervals of alpha and beta (rush-srik/Overoptimization-Repro,
#: results/figures/coefficients_bon.md).
PUBLISHED = {
    "500": ((0.253, 0.517), (0.082, 0.194)),
    "1000": ((0.321, 0.589), (0.064, 0.181)),
    "4000": ((0.486, 0.744), (0.066, 0.171)),
    "8000": ((0.612, 0.867), (0.066, 0.171)),
    "60000": ((0.788, 1.049), (0.070, 0.176)),
}


def coefficients(fit: bl.Fit) -> pd.DataFrame:
    """alpha and beta of each data size, with 95 % intervals, beside the published ones."""
    results = []
    for name, which in (("alpha", 0), ("beta", 1)):
        drawn = fit.quantity(name)
        for group in map(str, drawn["group"].values):
            low, median, high = drawn.sel(group=group).quantile([0.025, 0.5, 0.975]).values
            a, b = PUBLISHED[group][which]
            results.append(
                {
                    "data_size": int(group),
                    "coefficient": name,
                    "median": median,
                    "lower_95": low,
                    "upper_95": high,
                    "published_lower": a,
                    "published_upper": b,
                    "inside": a <= median <= b,
                }
            )
    return pd.DataFrame(results).sort_values(["coefficient", "data_size"])


def main() -> None:
    parser = arguments(__doc__, ["overoptimization/bon_reward_model_data.csv"])
    parser.add_argument("--seen", type=int, nargs="+", default=[8, 16, 32])
    options = parser.parse_args()
    warnings.simplefilter("ignore", BayeslawWarning)
    results = []
    for path in options.data:
        runs = bl.read_runs(path, LAW, columns=COLUMNS)
        settings: Sampling = {
            "draws": options.draws,
            "tune": options.draws,
            "random_seed": options.seed,
            "progressbar": False,
        }
        for discrepancy in (None, "none"):
            fit = bl.fit(bl.ModelSpec(LAW, discrepancy=discrepancy), runs, **settings)
            print(f"\n{path.stem}, all runs, discrepancy {fit.spec.discrepancy}: {fit.convergence}")
            print(
                coefficients(fit).to_string(index=False, float_format=lambda value: f"{value:.3f}")
            )
            print(*check_residuals(fit), sep="\n")
        for n in options.seen:
            results += rows(run(bl.ModelSpec(LAW), runs, f"n > {n}", options), f"n <= {n}", path)
    report(results, options)


if __name__ == "__main__":
    main()
