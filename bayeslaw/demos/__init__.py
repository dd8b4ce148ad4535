"""Demonstrations on simulated runs: from a table to a verdict, which the part that was hidden then
confirms or not.
"""
