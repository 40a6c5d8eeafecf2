"""The effect of other subjects than the annotated ones on an evaluation (`stvg_jax.family.Change`)."""

from __future__ import annotations

from pathlib import Path

from stvg_jax.core.files import whole_file
from stvg_jax.family import Report
from stvg_jax.grounding.evaluation.table import effect_table
from stvg_jax.grounding.inputs import GroundingInputs


class SubjectChange:
    """The samples of a split with subjects by another rule.

    Args:
        inputs: the split, with the annotated subjects.
        rule: of the subjects, a key of `data_pipeline.annotations.subjects.SUBJECT_RULES`.

    Raises:
        InputError: as `GroundingInputs.with_subjects`.
    """

    def __init__(self, inputs: GroundingInputs, rule: str) -> None:
        self.name = f"subject_{rule}"
        self.inputs = inputs.with_subjects(rule)
        pairs = zip(inputs.samples, self.inputs.samples, strict=True)
        self.unchanged = frozenset(before.id for before, after in pairs if before.subject == after.subject)

    def effect(self, report: Report, changed: Report, out: Path) -> str:
        """See `stvg_jax.family.Change`; writes OUT/effect.md."""
        from stvg_jax.data_pipeline.annotations.subjects import ANNOTATED, SUBJECT_RULES

        count = len(self.inputs.samples)
        table = effect_table(
            f"Effect of the subject, which differs in {count - len(self.unchanged):,} of {count:,} samples",
            (SUBJECT_RULES[ANNOTATED], report.measures),
            (SUBJECT_RULES[self.inputs.subject], changed.measures),
        )
        with whole_file(out / "effect.md") as file:
            file.write(table.markdown())
        return table.text()
