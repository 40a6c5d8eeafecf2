"""The readers that are fuzzed, by name."""

from __future__ import annotations

from tests.fuzz.engine import Target
from tests.fuzz.targets import checkpoints, runs, stores, text, videos

TARGETS: dict[str, Target] = {
    target.name: target for module in (checkpoints, text, stores, runs, videos) for target in module.TARGETS
}
