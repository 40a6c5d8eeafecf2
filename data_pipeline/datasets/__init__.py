"""Datasets: a module with a record for each, found by name (`registry`), and functions that read any of them.

A new dataset is a module that exports its record as `DATASET` (`dataset.Dataset`), and a line in `registry.MODULES`.
"""
