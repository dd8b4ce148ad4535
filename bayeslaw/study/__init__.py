"""A study: one file that says which runs, which law, what to predict and what to decide; one folder
with all that follows.
"""
