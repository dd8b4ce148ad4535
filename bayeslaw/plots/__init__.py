"""Figures: functions that take tables or arrays and Axes, and return the Axes. They take no Fit and
compute no band.
"""

from bayeslaw.plots.bands import bands
from bayeslaw.plots.calibration import calibration, coverage, pit
from bayeslaw.plots.contours import hyperparameters, isoflop, isoloss
from bayeslaw.plots.hindsight import hindsight
from bayeslaw.plots.information import next_runs, value_of_information
from bayeslaw.plots.options import options, target_curve
from bayeslaw.plots.overoptimization import best_checkpoint, peak_by_size, scores, watched
from bayeslaw.plots.style import svg

__all__ = [
    "bands",
    "best_checkpoint",
    "calibration",
    "coverage",
    "hindsight",
    "hyperparameters",
    "isoflop",
    "isoloss",
    "next_runs",
    "options",
    "peak_by_size",
    "pit",
    "scores",
    "svg",
    "target_curve",
    "value_of_information",
    "watched",
]
