"""Scaling laws: one family a file, each law one formula."""

from bayeslaw.laws.base import INPUTS, Input, Law, Limit, Param, Response
from bayeslaw.laws.registry import law, laws, register

__all__ = ["INPUTS", "Input", "Law", "Limit", "Param", "Response", "law", "laws", "register"]
