"""Figures: functions that take tables or arrays and Axes, and return the Axes. They never see a Fit and compute no band."""

from bayeslaw.plots.bands import bands
from bayeslaw.plots.calibration import calibration, coverage, pit
from bayeslaw.plots.hindsight import hindsight

__all__ = ["bands", "calibration", "coverage", "hindsight", "pit"]
