"""Settings of target-aware queries: what the content of a decoder's queries is before its first layer."""

from __future__ import annotations

import dataclasses

from stvg_jax.grounding.base import AppearanceConfig

QUERY_KINDS = ("zero", "sampling", "activation", "both")


@dataclasses.dataclass(frozen=True)
class QueryConfig(AppearanceConfig):
    """Hyper-parameters of a model whose queries may be target-aware (TA-STVG, sections 3.2 to 3.4).

    Attributes:
        queries: initial object queries (table 4 of the paper): "zero"; "sampling", the mean of the frames that
            text-guided temporal sampling keeps; "activation", the mean over all frames weighted by attribute-aware
            spatial activation; or "both".
        appearance_words: size of the vocabulary of appearance that trains the activation; 20 for VidSTG.
        sampling_threshold: theta; frames with a higher score are kept. 0.45 for VidSTG.
        second_pass: whether to decode twice at inference, the second time with queries of the frames whose actioness
            exceeded `actioness_threshold` in the first.
        actioness_threshold: a probability.
        oracle: whether queries are made from the true tube instead: the mean inside the true boxes of the true frames,
            in training and in evaluation. This is the paper's upper bound of what queries can give; such a model
            cannot ground. The classifiers of `queries` stay, and learn, without use; there is no second pass.
    """

    queries: str = "zero"
    appearance_words: int = 15
    sampling_threshold: float = 0.7
    second_pass: bool = False
    actioness_threshold: float = 0.5
    oracle: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.queries not in QUERY_KINDS:
            raise ValueError(f"queries is {self.queries!r}; it must be one of {', '.join(QUERY_KINDS)}")
        if self.queries == "zero" and self.second_pass:
            raise ValueError('with queries="zero" a second pass would repeat the first; set second_pass=False')

    @property
    def samples(self) -> bool:
        """True if the model has text-guided temporal sampling."""
        return self.queries in ("sampling", "both")

    @property
    def activates(self) -> bool:
        """True if the model has attribute-aware spatial activation."""
        return self.queries in ("activation", "both")

    @property
    def reads_tube(self) -> bool:
        return self.oracle

    @property
    def own_groups(self) -> tuple[tuple[str, str], ...]:
        return ((r"target_queries/.*", "target_queries"),) if self.samples or self.activates else ()


@dataclasses.dataclass(frozen=True)
class AppearanceQueryConfig(QueryConfig):
    """Hyper-parameters of a model without a motion backbone, whose released form starts from "zero".

    TA-STVG's study of such models (its table 10) uses the classifiers of appearance alone and leaves many choices open;
    the defaults are this library's.

    Attributes:
        subject_with_queries: whether a model with other queries than "zero" reads the subject before the sentence, as
            TA-STVG does.
    """

    subject_with_queries: bool = True

    @property
    def words(self) -> tuple[int, int]:
        return self.appearance_words if self.activates else 0, 0

    @property
    def reads_subject(self) -> bool:
        return self.queries != "zero" and self.subject_with_queries
