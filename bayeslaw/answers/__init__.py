"""What a fitted law implies: optima, ties, inverse problems, peaks."""
