"""How well each row of a table was measured: averages, standard errors, and baselines of scores.

| column | meaning |
|---|---|
| ``averaged`` | how many logged values the row is the mean of |
| ``<response>_se`` | standard error of the response, in its unit; noise is added to it |
| ``baseline`` | label of the baseline from which the row's score is measured |
| ``baseline_se`` | standard error of that baseline, whose error all its rows share |
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.laws.base import Law

AVERAGED = "averaged"
BASELINE, BASELINE_SE = "baseline", "baseline_se"
#: The model's variable for the error of each baseline, in units of its standard error.
BASELINE_ERROR = "baseline_error"


def se_column(law: Law) -> str:
    """The column of the response's standard errors."""
    return f"{law.response.name}_se"


def noise_scale(sigma: Any, table: pd.DataFrame, law: Law) -> Any:
    r"""The standard deviation of each row's noise, on the response's scale.

    .. math:: \sqrt{\sigma^2 / m + s^2}

    where m is the number of values that the row averages, and s its standard error, brought to the
    response's scale by the slope there.

    Parameters
    ----------
    sigma : the noise of one logged value: a number, or an array of any kind with rows last.
    table : the rows.
    law : the law whose response they have.
    """
    scale = sigma
    if AVERAGED in table:
        scale = scale / np.sqrt(table[AVERAGED].to_numpy(float))
    errors, response = se_column(law), law.response.name
    if errors in table and response in table:
        slope = law.response.link.slope(table[response].to_numpy(float))
        on_scale = table[errors].to_numpy(float) * abs(slope)
        scale = (scale**2 + on_scale**2) ** 0.5
    return scale


def baseline_labels(table: pd.DataFrame) -> np.ndarray:
    """The baseline of each row, as text, (row,); "0" without that column."""
    baselines = table.get(BASELINE, pd.Series(0, table.index))
    texts = [f"{x:.12g}" if isinstance(x, float | int) else str(x) for x in baselines]
    return np.array(texts)
