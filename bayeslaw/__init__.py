"""Bayesian scaling laws: what runs that you have not paid for yet would give, and how surely."""

from __future__ import annotations

import lazy_loader

# The names are listed in __init__.pyi. Each is loaded when it is first used, so that `bayeslaw
# --help` need not wait for pandas.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
