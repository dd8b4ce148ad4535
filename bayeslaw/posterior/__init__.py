"""What is computed from the draws of a fit, without PyMC: predictions, bands, storage."""
