"""Experiments: a configuration with its model, data, training and evaluation."""
