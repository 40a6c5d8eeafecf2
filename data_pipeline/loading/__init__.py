"""Batches for training and evaluation, from samples and stored frames; `schema` describes their arrays."""
