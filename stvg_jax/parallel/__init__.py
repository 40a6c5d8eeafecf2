"""Devices, hosts and the way of batches to them."""
