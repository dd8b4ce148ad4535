"""Figures: functions that take tables or arrays and Axes, and return the Axes. They never see a Fit
and compute no band.
"""

from bayeslaw.plots.bands import bands
from bayeslaw.plots.calibration import calibration, coverage, pit
from bayeslaw.plots.contours import hyperparameters, isoflop, isoloss
from bayeslaw.plots.decisions import next_runs, options, target_curve, value_of_information
from bayeslaw.plots.hindsight import hindsight
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
