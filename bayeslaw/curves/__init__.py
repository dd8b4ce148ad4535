"""Processes along curves, with NumPy and Numba: state spaces, filter, and draws of paths."""
