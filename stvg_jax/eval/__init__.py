"""Evaluation of any task: the loop over devices and hosts, and records that survive interruptions."""
