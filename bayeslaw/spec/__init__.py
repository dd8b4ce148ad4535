"""What to fit, without PyMC: a `ModelSpec` as asked, and its `Design` for a table of runs."""
