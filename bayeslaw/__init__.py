"""bayeslaw: Bayesian scaling laws for the runs that you have not paid for yet."""

from __future__ import annotations

import lazy_loader

# Each name loads where it is first used: `bayeslaw --help`, or a study file with a misspelt key,
# need not wait for pandas. They stand in __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
