"""How well each row of a table was measured: averages, standard errors, and baselines that scores
are relative to.

| column | what it says of a row |
|---|---|
| ``averaged`` | how many logged values it is the mean of |
| ``<response>_se`` | the standard error of its response, in the response's unit; noise comes on top |
| ``baseline``, ``baseline_se`` | what its score is measured from, and the standard error of that, which all rows of a baseline share |
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.laws.base import Law

AVERAGED = "averaged"
BASELINE, BASELINE_SE = "baseline", "baseline_se"
#: The model's variable for the error of each baseline, in its standard errors.
BASELINE_ERROR = "baseline_error"


def se_column(law: Law) -> str:
    """The column of the response's standard errors."""
    return f"{law.response.name}_se"


def noise_scale(sigma: Any, table: pd.DataFrame, law: Law) -> Any:
    r"""The standard deviation of each row's noise, on the response's scale: :math:`\sqrt{\sigma^2 /
    m + s^2}`.

    sigma : noise of one logged value, a number or with rows last, of any kind of array. m : how
        many values the row averages. s : its
    standard error, brought to the response's scale by the slope there.
    """
    scale = sigma
    if AVERAGED in table:
        scale = scale / np.sqrt(table[AVERAGED].to_numpy(float))
    errors, response = se_column(law), law.response.name
    if errors in table and response in table:
        on_scale = table[errors].to_numpy(float) * abs(
            law.response.link.slope(table[response].to_numpy(float))
        )
        scale = (scale**2 + on_scale**2) ** 0.5
    return scale


def baseline_labels(table: pd.DataFrame) -> np.ndarray:
    """The baseline of each row, as text: rows of one baseline share its error."""
    return np.array(
        [
            f"{value:.12g}" if isinstance(value, float | int) else str(value)
            for value in table.get(BASELINE, pd.Series(0, table.index))
        ]
    )
