"""How true forecasts were: backtests, baselines to beat, and averages of laws by their scores."""
