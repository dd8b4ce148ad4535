"""Studies: one file names the runs, the law, the predictions and the decision; one folder gets all
results.
"""
