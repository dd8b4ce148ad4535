"""Demonstrations on simulated runs: forecasts from the runs that a fit sees, compared with those
that were hidden from it.
"""
