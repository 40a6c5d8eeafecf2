"""`Grounder`: from a checkpoint, a video and a sentence to a tube."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np

from stvg_jax.core.arguments import check_text
from stvg_jax.core.constants import TEXT_LENGTHS, TEXT_PAD
from stvg_jax.core.errors import InputError, first_line, quoted
from stvg_jax.core.progress import Progress, Silent
from stvg_jax.core.tree import unflatten
from stvg_jax.grounding.inference.answering import Question, make_tube
from stvg_jax.grounding.inference.clip import Clip, ClipConfig, Video, read_clip
from stvg_jax.grounding.inference.confidence import Calibration, stated_calibration
from stvg_jax.grounding.inference.many import failure, ground_each
from stvg_jax.grounding.inference.moments import score
from stvg_jax.grounding.inference.queries import Query, as_queries
from stvg_jax.grounding.inference.searching import join_features, search
from stvg_jax.grounding.inference.trained import TrainedClip, stated_clip_sec
from stvg_jax.grounding.inference.tube import Tube
from stvg_jax.grounding.inference.windows import check_windows
from stvg_jax.grounding.protocol import Protocol
from stvg_jax.grounding.types import GroundingOutput, VideoFeatures
from stvg_jax.models.loading import LoadedModel, in_background, load_model
from stvg_jax.models.names import SCOPE, default_checkpoint, find_checkpoint
from stvg_jax.runtime.compilation import Program
from stvg_jax.runtime.memory import Rows, check_memory


class Grounder:
    """A loaded model, ready to ground sentences in videos.

    Make one with `Grounder.load`. Programs are compiled at the first use of each input shape and kept on disk
    (`stvg_jax.runtime.compilation`).

    Args:
        model: a loaded checkpoint.
        clip_sec: seconds of the clips that it was trained on, where they are known; None for those of its frame rule's
            dataset.
        calibration: of its confidence; None for a checkpoint that has none.
        note: line about the checkpoint that goes with each answer.

    Raises:
        InputError: the model predicts no tubes, or only where it is told the true ones.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        clip_sec: float | None = None,
        calibration: Calibration | None = None,
        note: str = "",
    ):
        if model.family.protocol is None:
            raise InputError(f"a {model.description.model} gives no tubes; it cannot ground")
        if model.config.reads_tube:
            raise InputError(
                "this model makes its queries from the true tube (config.model.oracle=True), which only annotations "
                "have; evaluate it with `stvg-jax eval`, or ground with a checkpoint trained without"
            )
        module = model.module
        self.clip_config: ClipConfig = model.clip
        self.tokenizer = model.tokenizer
        self._model = model
        self._reads_subject: bool = model.config.reads_subject
        self.protocol: Protocol = model.family.protocol.of(model.clip)
        self.trained_clip = TrainedClip.of(model.clip, self.protocol, clip_sec)
        self.calibration, self.note = calibration, note
        self._declared = unflatten(module.declarations)
        self._encode = Program(
            "video encoder", lambda p, *a: module.apply(p, lambda m: m.encode_video(*a)), model.identity
        )
        self._ground = Program("decoder", lambda p, *a: module.apply(p, lambda m: m.ground(*a)), model.identity)

    @classmethod
    def load(cls, checkpoint: str | os.PathLike[str] | None = None, *, dtype: str = "float32") -> Grounder:
        """Loads a checkpoint: a folder made by `stvg-jax convert` or `train`, or one that has a name.

        Returns at once; the parameters are read in the background, and damage found there is raised at first use.

        Args:
            checkpoint: the folder; or a name, such as "ta_stvg_hcstvg1" (`stvg-jax checkpoints`) or "owner/name" on the
                Hugging Face hub, which is fetched at first use; None or "builtin" for the checkpoint that comes with
                the library, which was trained on generated videos of moving shapes only.
            dtype: of the computation, "float32" or "bfloat16". Parameters stay float32.

        Raises:
            InputError: the folder is not a checkpoint of a grounding model, or its parameters do not fit; or the name
                is unknown, or cannot be fetched.
        """
        folder = find_checkpoint(checkpoint)
        model = load_model(folder, dtype=dtype)
        calibration = stated_calibration(folder, model.description.parameters)
        note = SCOPE if folder == default_checkpoint() else ""
        return cls(model, clip_sec=stated_clip_sec(folder), calibration=calibration, note=note)

    @functools.cached_property
    def parameters(self) -> dict[Any, Any]:
        """Nested arrays on the device."""
        return jax.device_put(unflatten(dict(self._model.read_parameters())))

    def ground(
        self,
        video: Video,
        sentence: str,
        *,
        fps: float | None = None,
        subject: str | None = None,
        start: float | None = None,
        end: float | None = None,
        frames: tuple[int | None, int | None] | None = None,
        resolution: int | None = None,
        decoder: str = "pyav",
        allow_partial: bool = False,
        window: float | str | None = None,
        stride: float | None = None,
        top: int = 1,
    ) -> Tube:
        """Finds when and where a video shows what a sentence describes.

        The model sees as many frames of a long clip as of a short one; with `window` it is searched in windows of the
        length that the model was trained on.

        Args:
            video: path of a video file, or of a folder of pictures; or frames, uint8 [T, H, W, 3], RGB.
            sentence: in English, such as "the man in blue who stands up and leaves".
            fps: frames per second of pictures or an array.
            subject: the words that name the target; found in the sentence when not given.
            start, end, frames, resolution, decoder, allow_partial: the clip, in seconds or in frames, and options of
                reading it, as for `stvg_jax.grounding.inference.clip.read_clip`; named like the options of
                `stvg-jax ground`.
            window: "auto", or seconds, to search the clip in windows (`stvg_jax.grounding.inference.searching.search`);
                None to see all of it at once.
            stride: seconds between the beginnings of two windows; None for half of their length.
            top: largest number of moments in `Tube.moments`, of a search in windows.

        Raises:
            InputError: a video, a sentence or an option that cannot be used.
        """
        questions = self.ask([sentence], [subject])
        reading = {"fps": fps, "start": start, "end": end, "frames": frames, "resolution": resolution}
        reading |= {"decoder": decoder, "allow_partial": allow_partial}
        check_windows(window, stride, top)
        if window is not None:
            return search(self, video, questions, window=window, stride=stride, top=top, **reading)[0]
        clip = self.read_clip(video, questions, **reading)
        return self.answer(questions[0], clip, self.encode_clip(clip))

    def ground_many(
        self,
        questions: Iterable[tuple[str | os.PathLike[str], str] | Query],
        *,
        resolution: int | None = None,
        decoder: str = "pyav",
        allow_partial: bool = False,
        window: float | str | None = None,
        stride: float | None = None,
        top: int = 1,
    ) -> list[Tube]:
        """Finds when and where videos show what sentences describe.

        A clip that several questions are about is decoded and encoded once, and the next one is decoded meanwhile.

        Args:
            questions: (video, sentence) pairs, and `stvg_jax.grounding.inference.Query` where there is more to say.
            resolution, decoder, allow_partial, window, stride, top: as for `ground`.

        Returns:
            A tube for each question, in the same order.

        Raises:
            InputError: a question, an option or a video that cannot be used. `stvg_jax.grounding.inference.ground_each`
                goes on after a video that cannot.
        """
        queries, tubes = as_queries(questions), {}
        reading: dict[str, Any] = {"resolution": resolution, "decoder": decoder, "allow_partial": allow_partial}
        reading |= {"window": window, "stride": stride, "top": top}
        for query, answer in ground_each(self, list(dict.fromkeys(queries)), **reading):
            if isinstance(answer, InputError):
                raise InputError(failure(query, answer)) from answer
            tubes[query] = answer
        return [tubes[query] for query in queries]

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hexadecimal digest of the model and its parameters."""
        return hashlib.sha256(json.dumps(self._model.content, sort_keys=True).encode()).hexdigest()

    def forward(self, frames: np.ndarray, input_ids: Sequence[int] | np.ndarray) -> GroundingOutput:
        """Runs the model on one unpadded clip.

        Args:
            frames: float [t, h, w, 3], normalised (`data_pipeline.frames`).
            input_ids: [l], token ids of the text (`Question.ids`) with start and end tokens.

        Returns:
            Numpy arrays as in GroundingOutput, without the batch axis: boxes [k, t, 4] and so on.

        Raises:
            InputError: arrays of a wrong shape or type, values that are not finite, ids outside the vocabulary, or
                more ids than the text encoder takes.
        """
        frames = _as_array("frames", frames, np.floating, "floats, normalised (`data_pipeline.frames.prepare`)")
        ids = _as_array("input_ids", input_ids, np.integer, "whole numbers")
        if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape or ids.ndim != 1 or not len(ids):
            raise InputError(f"frames {frames.shape} and input_ids {ids.shape}; they must be [t, h, w, 3] and [l]")
        if not np.isfinite(frames).all():
            raise InputError("frames hold values that are not finite")
        if len(ids) > self.tokenizer.max_tokens:
            raise InputError(f"{len(ids)} input_ids; the text encoder takes at most {self.tokenizer.max_tokens}")
        words = self._model.family.text(self._model.config).vocab_size
        if ids.min() < 0 or ids.max() >= words:
            raise InputError(f"input_ids from {ids.min()} to {ids.max()}; the model knows 0 to {words - 1}")
        frames, ids = frames.astype(np.float32), ids.astype(np.int32)
        features = self._encode(self.parameters, frames[None], None)
        return self._run_text(features, ids, len(ids)).row(0)

    # The steps of `ground`, for several questions about one clip.

    def ask(self, sentences: Sequence[str], subjects: Sequence[str | None] | None = None) -> list[Question]:
        """Prepares sentences for `answer`.

        Args:
            sentences: in English.
            subjects: the words that name the target of each sentence, read as they are; None to find them in the
                sentence.

        Raises:
            InputError: a sentence that is not text, is empty or is longer than the text encoder takes; a wrong number
                of subjects; or a subject for a model that reads none.
        """
        from stvg_jax.data_pipeline.language.subject import find_subject
        from stvg_jax.data_pipeline.language.text import model_text

        if not isinstance(sentences, (list, tuple)) or not isinstance(subjects, (list, tuple, type(None))):
            raise InputError("sentences and subjects must be lists of texts; put a single one into a list")
        subjects = [None] * len(sentences) if subjects is None else subjects
        if len(subjects) != len(sentences):
            raise InputError(f"{len(subjects)} subjects for {len(sentences)} sentences; give one, or None, for each")
        questions = []
        for sentence, given in zip(sentences, subjects, strict=True):
            check_text("sentence", sentence)
            if given is not None:
                check_text("subject", given)
            if given is not None and not self._reads_subject:
                raise InputError(f"subject {quoted(given)}: this model reads the sentence alone; leave the subject out")
            subject = find_subject(sentence) if given is None else given
            # Models were trained with annotated subjects, which are in lower case.
            read = subject.lower() if given is None else given
            text = model_text(read if self._reads_subject else None, sentence, self.clip_config.sampling)
            questions.append(Question(sentence, subject, self.tokenizer(text), self.tokenizer.unknown(text)))
        return questions

    def read_clip(
        self,
        video: Video,
        questions: Sequence[Question] = (),
        *,
        progress: Progress | None = None,
        **options: Any,
    ) -> Clip:
        """Reads a clip for this model (`stvg_jax.grounding.inference.clip.read_clip`). Meanwhile, the programs for the
        clip and these questions are compiled, or loaded from the cache."""
        preparing: list[Callable[[], None]] = []
        options |= {"trained": self.trained_clip, "progress": progress}
        options["on_shape"] = lambda shape, valid: preparing.append(self.prepare(shape, valid, questions))
        clip = read_clip(self.clip_config, self.protocol, video, **options)
        with (progress or Silent()).stage("preparing the model"):
            preparing[0]()
        return clip

    def prepare(
        self, shape: tuple[int, ...], frames_valid: np.ndarray | None, questions: Sequence[Question], parts: int = 1
    ) -> Callable[[], None]:
        """Begins to compile the programs for a clip and questions about it, or to load them from the cache.

        Args:
            shape: of `Clip.frames`.
            frames_valid: `Clip.frames_valid`.
            questions: of `ask`.
            parts: number of such clips whose features are joined before questions are answered.

        Returns:
            A function that waits until they are ready.

        Raises:
            InputError: the clip is too large for the memory of the device.
        """
        rows = Rows(*shape[:-1])
        needed = self._model.family.least_bytes(self._model.config, rows)
        check_memory(needed, rows, f"resolution {shape[2]}")
        return in_background(lambda: self._prepare(shape, frames_valid, questions, parts))

    def _prepare(
        self, shape: tuple[int, ...], frames_valid: np.ndarray | None, questions: Sequence[Question], parts: int
    ) -> None:
        frames = jax.ShapeDtypeStruct(shape, np.float32)
        features = self._encode.prepare(self._declared, frames, frames_valid).out_info
        if parts > 1:
            features = jax.eval_shape(lambda part: join_features([part] * parts), features)
        for length in sorted({self._padded_length(question) for question in questions}):
            texts = (jax.ShapeDtypeStruct((shape[0], length), dtype) for dtype in (np.int32, bool))
            self._ground.prepare(self._declared, features, *texts)

    def encode_clip(self, clip: Clip, *, progress: Progress | None = None) -> VideoFeatures:
        """Runs the visual backbones, once for all questions about the clip."""
        return self._encode(self.parameters, clip.frames, clip.frames_valid, progress=progress)

    def answer(
        self, question: Question, clip: Clip, features: VideoFeatures, *, progress: Progress | None = None
    ) -> Tube:
        """Answers one question (of `ask`) about a clip (of `read_clip`) whose features are known (`encode_clip`)."""
        return self.answer_window(question, clip, features, progress=progress)[0]

    def answer_window(
        self, question: Question, clip: Clip, features: VideoFeatures, *, progress: Progress | None = None
    ) -> tuple[Tube, float]:
        """The answer of `answer`, and its score (`stvg_jax.grounding.inference.moments.score`)."""
        output = self._run_text(features, question.ids, self._padded_length(question), progress)
        tube = make_tube(clip, output, question, self.protocol, self.calibration, self.note)
        return tube, score(output, clip.frames_valid)

    @property
    def joins_features(self) -> bool:
        """True if the features of consecutive parts of a clip can be joined."""
        return self._model.config.joins_features

    def _padded_length(self, question: Question) -> int:
        length = next(n for n in TEXT_LENGTHS if n >= len(question.ids))
        return min(length, self.tokenizer.max_tokens)

    def _run_text(
        self, features: VideoFeatures, ids: np.ndarray, length: int, progress: Progress | None = None
    ) -> GroundingOutput:
        """Runs the second half of the model with the same text in every row; `ids` [l] is padded to `length`."""
        padded = np.pad(ids, (0, length - len(ids)), constant_values=TEXT_PAD)
        valid = np.arange(length) < len(ids)
        rows = (len(features.appearance), length)
        texts = np.broadcast_to(padded, rows), np.broadcast_to(valid, rows)
        return self._ground(self.parameters, features, *texts, progress=progress)


def _as_array(name: str, values: Any, kind: type, rule: str) -> np.ndarray:
    """`values` as an array whose dtype is of this kind; raises InputError for anything else."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} are not an array: {first_line(error)}") from error
    # The dtype of an empty list means nothing.
    if array.size and not jax.numpy.issubdtype(array.dtype, kind):
        raise InputError(f"{name} are {array.dtype}; they must be {rule}")
    return array
