"""The command line. The only folder that prints or exits."""

from __future__ import annotations

from bayeslaw.cli import backtesting, deciding, demonstration, fitting, inspecting, studying
from bayeslaw.cli.app import app, main, run

__all__ = [
    "app",
    "backtesting",
    "deciding",
    "demonstration",
    "fitting",
    "inspecting",
    "main",
    "run",
    "studying",
]
