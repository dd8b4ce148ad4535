"""What to fit, as values, without PyMC: what was asked (`ModelSpec`) and what that means for a table of runs."""
