"""The report: one HTML page that loads nothing from a network and can be read on paper, without
colours and with a screen reader. These modules lay out results, and compute none.
"""

from __future__ import annotations

from bayeslaw.study.report.render import render

__all__ = ["render"]
