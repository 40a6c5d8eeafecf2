"""Datasets: a record in a module of its own for each, found by name (`registry`), and what is read with its help.

A new dataset is a module here that exports its record as `DATASET` (`dataset.Dataset`), and a line in
`registry.MODULES`.
"""
