"""The result of a check."""

from __future__ import annotations

from dataclasses import dataclass


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
        return f"{mark:<7} {self.name}: {self.message}{f' {self.advice}' if self.passed is not True and self.advice else ''}"
