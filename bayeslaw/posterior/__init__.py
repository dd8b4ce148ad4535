"""Draws that are read without PyMC: parameters at points, predictions, quantities, storage."""
