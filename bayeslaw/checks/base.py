"""The result of a check, and how many draws a check takes."""

from __future__ import annotations

from dataclasses import dataclass

#: Values of an array (draw, run), 16 MB: with them a check of 10,000 runs takes some seconds.
VALUES = 2_000_000


def draws_for(runs: int, most: int) -> int:
    """The number of draws with which a check of so many runs stays quick: at least 200, at most
    ``most``.

    >>> draws_for(50, most=1000), draws_for(8000, most=1000)
    (1000, 250)
    """
    return min(most, max(200, VALUES // runs))


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A verdict, the number behind it, its threshold, and advice.

    ``passed`` is None for a check that informs and does not judge, and for one that was not run:
    its ``value`` is NaN, and its message says why.

    Examples
    --------
    >>> print(CheckResult("R-hat", False, 1.2, 1.01, "1.2, at most 1.01.", "Sample longer."))
    FAILED  R-hat: 1.2, at most 1.01. Sample longer.
    """

    name: str
    passed: bool | None
    value: float
    threshold: float
    message: str
    advice: str = ""

    def __str__(self) -> str:
        mark = {True: "passed", False: "FAILED", None: "note"}[self.passed]
        advice = f" {self.advice}" if self.advice and self.passed is not True else ""
        return f"{mark:<7} {self.name}: {self.message}{advice}"


def not_run(name: str, threshold: float, reason: str) -> CheckResult:
    """The result of a check that was not run: neither passed nor failed.

    >>> print(not_run("k-hat", 0.7, "every parameter is pinned"))
    note    k-hat: not run: every parameter is pinned.
    """
    return CheckResult(name, None, float("nan"), threshold, f"not run: {reason}.")
