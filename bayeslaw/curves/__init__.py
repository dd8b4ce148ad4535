"""Processes along curves, with NumPy and Numba: state spaces, their filter, and their paths."""
