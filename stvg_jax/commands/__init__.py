"""The commands of `stvg-jax`: each module has DESCRIPTION, EPILOG, `add_arguments(parser)` and `run(args)`.

They are imported to build the command line, so they import what they need inside `run`.
"""
