"""Evaluation: measures, scoring of predictions, the files that hold results, and a page about them.

Nothing here but the runner needs JAX.
"""
