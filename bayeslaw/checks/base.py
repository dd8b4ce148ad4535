"""The result of a check, and how many draws one takes."""

from __future__ import annotations

from dataclasses import dataclass

#: Values of an array (draw, run), 16 MB: with them a check of 10,000 runs takes some seconds.
VALUES = 2_000_000


def draws_for(runs: int, most: int) -> int:
    """So many draws that a check of a large table stays quick: few draws say enough of many runs."""
    return min(most, max(200, VALUES // runs))


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A verdict, the number behind it, its threshold, and advice.

    ``passed`` is None for a check that informs and does not judge.
    """

    name: str
    passed: bool | None
    value: float
    threshold: float
    message: str
    advice: str = ""

    def __str__(self) -> str:
        mark = {True: "passed", False: "FAILED", None: "note"}[self.passed]
        return (
            f"{mark:<7} {self.name}:"
            f" {self.message}{f' {self.advice}' if self.passed is not True and self.advice else ''}"
        )
