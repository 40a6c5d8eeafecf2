"""Text from outside in messages."""

from __future__ import annotations

import pytest

from stvg_jax.core.errors import quoted


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "'plain'"),
        ("a\nOK: converted\x1b[31m", "'a\\nOK: converted\\x1b[31m'"),
        ("\ud83d", "'\\ud83d'"),
        (7, "'7'"),
        (None, "'None'"),
        ("x" * 120, repr("x" * 120)),
        ("x" * 121, repr("x" * 120) + "..."),
        (b"y" * 500, repr("b'" + "y" * 118) + "..."),
    ],
)
def test_quoted(value, shown):
    assert quoted(value) == shown
