"""Write the simulated over-optimisation runs of this folder: ``uv run python
data/simulate_overoptimization.py``.

Gold and proxy scores of best-of-n and of RL follow the laws of Gao et al. 2022 over their own
design (nine reward-model sizes, two policy sizes), with noise that neighbours on a curve share. No
coefficient of the paper is published as a number: those here give the peaks that its figure 1
shows, as far as the eye can tell. Nothing here was measured.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

import bayeslaw as bl
from bayeslaw.laws.kl import kl_of_n

SEED = 20221019
REWARD_MODELS = (3e6, 12e6, 25e6, 42e6, 85e6, 300e6, 680e6, 1.2e9, 3e9)
#: A larger policy gains less, and peaks at the same KL (Gao et al. 2022, section 3.4).
POLICIES = {1.2e9: 1.0, 6e9: 0.85}
#: n of best-of-n, and d of RL with the optimiser's steps: without a KL penalty d grows evenly with
#: them.
N = (*(2**k for k in range(1, 16)), 60_000)
D = np.arange(1, 41) * 0.25
STEPS_PER_D = 200
#: score and method -> (alpha, its log slope a decade of reward-model size, beta, its log slope), at
#: 1e8 parameters.
COEFFICIENTS = {
    ("gold", "rl"): (0.40, 0.0, 0.1464, -0.0985),  # KL at the peak from 15 (3M) to 76 (3B)
    ("gold", "bon"): (0.42, 0.10, 0.085, -0.08),  # from 3.5 to 10.4
    ("proxy", "rl"): (0.50, 0.03, 0.080, -0.05),
    ("proxy", "bon"): (0.62, 0.03, 0.030, -0.05),
}
#: Standard deviation of sizes around the trend of log beta; of the errors that neighbours share,
#: and the d over which they do; of the rest.
DEVIATION, SHARED, LENGTH, NOISE = 0.02, 0.03, 0.5, 0.01


def coefficients(
    score: str, method: str, reward_model_size: float, policy_size: float = 1.2e9
) -> dict[str, float]:
    """alpha and beta on their trends."""
    alpha, alpha_slope, beta, beta_slope = COEFFICIENTS[score, method]
    x = np.log10(reward_model_size / 1e8)
    gain = POLICIES[policy_size]
    return {
        "alpha": gain * alpha * np.exp(alpha_slope * x),
        "beta": gain * beta * np.exp(beta_slope * x),
    }


def correlated(d: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Errors along a curve: an Ornstein-Uhlenbeck process of d, and independent noise."""
    memory = np.exp(-np.diff(d) / LENGTH)
    z = rng.standard_normal(len(d))
    shared = np.empty(len(d))
    shared[0] = z[0]
    for i, kept in enumerate(memory, start=1):
        shared[i] = kept * shared[i - 1] + np.sqrt(1 - kept**2) * z[i]
    return SHARED * shared + NOISE * rng.standard_normal(len(d))


def curve(
    method: str, d: np.ndarray, params: dict[str, float], rng: np.random.Generator
) -> np.ndarray:
    """Scores along one simulated curve."""
    return bl.law(f"overoptimization_{method}").evaluate({"kl": d**2}, params) + correlated(d, rng)


def simulate(seed: int) -> tuple[pd.DataFrame, dict[str, float]]:
    """Simulated scores, a row a point, and each reward model's deviation from the trend of log beta
    (gold score).
    """
    rng = np.random.default_rng(seed)
    deviation = {size: rng.normal(0, DEVIATION) for size in REWARD_MODELS}
    along = {"bon": (np.sqrt(kl_of_n(N)), {"n": N}), "rl": (D, {"step": D * STEPS_PER_D})}
    parts = []
    for policy in POLICIES:
        for size in REWARD_MODELS:
            for method, (d, about) in along.items():
                scores = {}
                for score in ("gold", "proxy"):
                    params = coefficients(score, method, size, policy)
                    params["beta"] *= np.exp(deviation[size]) if score == "gold" else 1.0
                    scores[f"{score}_score"] = np.round(curve(method, d, params, rng), 5)
                parts.append(
                    pd.DataFrame(
                        {
                            "method": method,
                            "policy_size": policy,
                            "reward_model_size": size,
                            "kl": np.round(d**2, 6),
                            **about,
                            **scores,
                        }
                    )
                )
    return pd.concat(parts, ignore_index=True), {
        f"{size:g}": round(value, 6) for size, value in deviation.items()
    }


def main() -> None:
    here = Path(__file__).parent
    table, deviation = simulate(SEED)
    table.to_csv(here / "overoptimization_simulated.csv", index=False)
    manifest = {
        "name": "overoptimization_simulated",
        "simulated": True,
        "description": (
            "Simulated gold and proxy scores of best-of-n and RL against nine reward-model sizes,"
            " two policy sizes. Nothing was measured."
        ),
        "script": "data/simulate_overoptimization.py",
        "seed": SEED,
        "rows": len(table),
        "source": (
            "Gao et al. 2022, arXiv 2210.10760: laws eqs. 1 and 2, design of section 2;"
            " coefficients by eye from figure 1"
        ),
        "truth": {
            "laws": [
                "overoptimization_bon",
                "overoptimization_rl",
                "proxy_score_bon",
                "proxy_score_rl",
            ],
            "coefficients_at_1e8_parameters": {
                f"{score}_{method}": dict(
                    zip(
                        (
                            "alpha",
                            "log_slope_of_alpha_per_decade",
                            "beta",
                            "log_slope_of_beta_per_decade",
                        ),
                        values,
                        strict=True,
                    )
                )
                for (score, method), values in COEFFICIENTS.items()
            },
            "policy_gain": {f"{size:g}": gain for size, gain in POLICIES.items()},
            "deviation_of_log_beta_gold": deviation,
            "kl_peak_rl_of_3e9_on_the_trend": round(
                float(bl.law("overoptimization_rl").kl_peak(**coefficients("gold", "rl", 3e9))), 3
            ),
            "noise": {"shared_sd": SHARED, "shared_over_d": LENGTH, "independent_sd": NOISE},
        },
        "columns": {
            "method": "bon (best-of-n) or rl",
            "policy_size": "parameters of the policy",
            "reward_model_size": "parameters of the proxy reward model",
            "kl": "nats per sequence",
            "n": "samples of best-of-n",
            "step": "steps of RL",
            "gold_score": "true score, initial policy = 0 (simulated)",
            "proxy_score": "the reward model's score, initial policy = 0 (simulated)",
        },
    }
    (here / "overoptimization_simulated.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
