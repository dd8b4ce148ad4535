"""How true forecasts were: backtests, the baselines that they have to beat, and averages of laws by their scores."""
