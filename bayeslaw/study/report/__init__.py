"""One HTML page for the people who decide: self-contained, readable on paper, without colours, and
with a screen reader. It lays out results and computes none.
"""

from __future__ import annotations

from bayeslaw.study.report.render import render

__all__ = ["render"]
