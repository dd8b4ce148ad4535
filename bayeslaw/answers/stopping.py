"""When to stop optimising against a proxy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.answers.overoptimization import peaks
from bayeslaw.posterior.parameters import Posterior
from bayeslaw.spec.spec import columns_of

if TYPE_CHECKING:
    from bayeslaw.fitting import Fit

#: KLs at which the expected score is compared.
TRIED = 400


def stopping(
    fit: Fit,
    current_kl: float,
    *,
    probs: Sequence[float] = defaults.PROBS,
    reach: float | None = None,
    method: str | None = None,
) -> pd.DataFrame:
    """Whether the peak is behind, what going on is worth, and where to stop: a row a group.

    Parameters
    ----------
    fit, probs, reach, method : as in `bayeslaw.peaks`. Nothing beyond the reach is advised.
    current_kl : where the run stands, nats.

    Returns
    -------
    DataFrame: what `bayeslaw.peaks` gives with ``current_kl``, and ``stop_at_kl``, the KL from here
    on with the highest expected score; ``expected_gain``, by how much that exceeds the expected
    score here; and ``advice``: "stop" where the peak is passed with a probability of at least
    `defaults.STOP_ABOVE`, "go on" where it is at most `defaults.GO_ON_BELOW`, else "evaluate": the
    runs do not say. "not converged" where the chains disagree.

    Raises
    ------
    As `bayeslaw.peaks`.
    """
    found = peaks(fit, probs, reach=reach, current_kl=current_kl, method=method)
    law = fit.spec.law
    stop_at, gain = np.empty(len(found)), np.empty(len(found))
    for i, row in found.iterrows():
        far = max(float(row["no_peak_below"]), current_kl * 1.0001)
        kl = np.geomspace(current_kl, far, TRIED)
        points = pd.DataFrame(
            {name: [row.get(name)] * TRIED for name in columns_of(fit.spec)} | {"kl": kl}
        )
        expected = law.response.link.inverse(
            Posterior.of(fit, points, "mean").located(points)
        ).mean(axis=0)
        best = int(expected.argmax())
        stop_at[i], gain[i] = kl[best], expected[best] - expected[0]
    past = found["p_past_peak"]
    advice = np.select(
        [past >= defaults.STOP_ABOVE, past <= defaults.GO_ON_BELOW], ["stop", "go on"], "evaluate"
    )
    return found.assign(
        stop_at_kl=stop_at,
        expected_gain=gain,
        advice=advice if fit.convergence.passed else "not converged",
    )
