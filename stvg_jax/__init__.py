"""Spatio-temporal video grounding in JAX: a video and a sentence in, a tube of boxes out.

Importing this package imports neither JAX nor a decoder; import the parts you use, for example
`from stvg_jax.inference import Grounder`.
"""

__version__ = "0.1.0"
