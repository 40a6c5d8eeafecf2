"""From a checkpoint, a video and a sentence to a tube."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stvg_jax import checkpoint
from stvg_jax.config import build
from stvg_jax.errors import InputError
from stvg_jax.grounding.registry import make_model
from stvg_jax.grounding.tubes import PassPrediction, log_softmax, merge_passes
from stvg_jax.grounding.types import GroundingOutput, VideoFeatures
from stvg_jax.inference.compilation import Program, enable_cache
from stvg_jax.inference.progress import Progress, Silent
from stvg_jax.inference.tokenizer import Tokenizer
from stvg_jax.inference.tube import FrameScores, Tube
from stvg_jax.nn.functional import PureModule
from stvg_jax.tree import unflatten

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
# Sentences are padded to one of a few lengths, so that they share compiled programs; padding changes no result.
_TEXT_BUCKETS = (32, 64, 128, 256, 512)
_PAD_ID = 1


@dataclasses.dataclass(frozen=True)
class ClipConfig:
    """How a model wants its clips.

    Attributes:
        sampling: rule that spreads frames over a clip, "hcstvg" or "vidstg" (`data_pipeline.sampling`).
        resolution: height in pixels that frames are resized to.
        frames_per_pass: frames of each of the two interleaved passes, for "vidstg".
    """

    sampling: str = "hcstvg"
    resolution: int = 420
    frames_per_pass: int = 64


@dataclasses.dataclass(frozen=True)
class Clip:
    """A part of a video, read and prepared.

    Attributes:
        video: path as given.
        height, width, fps: of the video as displayed.
        first, last: (first, one past last) frame.
        timestamps_sec: float64 [frames of the video].
        frame_ids: two int64 arrays, the interleaved passes.
        frames: float32 [2, t, h, w, 3], normalised; the shorter pass repeats its last frame.
    """

    video: str
    height: int
    width: int
    fps: float
    first: int
    last: int
    timestamps_sec: np.ndarray
    frame_ids: tuple[np.ndarray, np.ndarray]
    frames: np.ndarray

    @property
    def frames_valid(self) -> np.ndarray | None:
        """bool [2, t], or None when both passes are equally long."""
        lengths = [len(ids) for ids in self.frame_ids]
        if lengths[0] == lengths[1]:
            return None
        return np.arange(self.frames.shape[1]) < np.array(lengths)[:, None]


@dataclasses.dataclass(frozen=True)
class Question:
    """A sentence, ready for the model.

    Attributes:
        sentence: as given.
        subject: the words that name the target.
        ids: int32 [l], token ids of the text that the model reads.
    """

    sentence: str
    subject: str
    ids: np.ndarray


class Grounder:
    """A loaded model, ready to ground sentences in videos.

    Make one with `Grounder.load`. Programs are compiled at the first use of each input shape and kept on disk
    (`stvg_jax.inference.compilation`).
    """

    def __init__(
        self,
        model: str,
        config: dict[str, Any],
        parameters: dict[str, np.ndarray],
        tokenizer: Tokenizer,
        *,
        dtype: str = "float32",
    ):
        self.clip_config = build(ClipConfig, config["clip"], "config.clip")
        self.tokenizer = tokenizer
        self._dtype = dtype
        self._module = PureModule(make_model(model, config["model"], DTYPES[dtype]))
        self._parameters = jax.device_put(unflatten(parameters))
        self._encode = Program("video encoder", lambda p, *args: self._module.apply(p, lambda m: m.encode_video(*args)))
        self._ground = Program("grounding", lambda p, *args: self._module.apply(p, lambda m: m.ground(*args)))

    @classmethod
    def load(
        cls, directory: str | os.PathLike[str], *, dtype: str = "float32", progress: Progress | None = None
    ) -> Grounder:
        """Loads a checkpoint directory made by `stvg-jax convert`.

        Args:
            directory: the checkpoint.
            dtype: of the computation, "float32" or "bfloat16". Parameters stay float32.
            progress: told what is going on.

        Raises:
            InputError: if the directory is not a checkpoint of a grounding model, or its parameters do not fit.
        """
        directory = Path(directory)
        if dtype not in DTYPES:
            raise InputError(f"dtype {dtype!r} is unknown; choose one of {', '.join(DTYPES)}")
        enable_cache()
        description = checkpoint.describe(directory)
        if description.kind != "model":
            raise InputError(
                f"{directory} holds a part of a model to start training from ({description.note}); it cannot ground"
            )
        module = PureModule(make_model(description.model, description.config["model"], DTYPES[dtype]))
        with (progress or Silent()).stage(f"loading {directory}"):
            parameters = checkpoint.read(directory, module.declarations)
        max_tokens = description.config["model"]["roberta"]["positions"] - 2
        tokenizer = Tokenizer(directory / checkpoint.TOKENIZER, max_tokens)
        return cls(description.model, dict(description.config), parameters, tokenizer, dtype=dtype)

    def forward(self, frames: np.ndarray, input_ids: Sequence[int] | np.ndarray) -> GroundingOutput:
        """Runs the model on one unpadded clip.

        Args:
            frames: float [t, h, w, 3], normalised (`data_pipeline.frames`).
            input_ids: [l], token ids of "subject sentence" with start and end tokens.

        Returns:
            Numpy arrays as in GroundingOutput, without the batch axis: boxes [k, t, 4] and so on.

        Raises:
            InputError: for arrays of another shape, or with values that are not finite.
        """
        frames, ids = np.asarray(frames, np.float32), np.asarray(input_ids, np.int32)
        if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape or ids.ndim != 1 or not len(ids):
            raise InputError(f"frames {frames.shape} and input_ids {ids.shape}; they must be [t, h, w, 3] and [l]")
        if not np.isfinite(frames).all():
            raise InputError("frames hold values that are not finite")
        return self._run_text(self._run_video(frames[None], None), ids, len(ids)).row(0)

    def ground(self, video: str | os.PathLike[str], sentence: str, *, subject: str | None = None, **clip: Any) -> Tube:
        """Finds when and where a video shows what a sentence describes.

        Args:
            video: path of a video file.
            sentence: in English, such as "the man in blue who stands up and leaves".
            subject: the words that name the target; found in the sentence when not given.
            clip: see `read_clip`.

        Raises:
            InputError: for a video, a sentence or a clip that cannot be used.
        """
        (question,) = self.ask([sentence], [subject])
        clip = self.read_clip(video, **clip)
        return self.answer(question, clip, self.encode_clip(clip))

    def ask(self, sentences: Sequence[str], subjects: Sequence[str | None] | None = None) -> list[Question]:
        """Prepares sentences; a subject that is None is found in its sentence.

        Raises:
            InputError: for a sentence that is empty or longer than the text encoder takes.
        """
        from data_pipeline.subject import find_subject
        from data_pipeline.text import model_text

        questions = []
        for sentence, given in zip(sentences, subjects or [None] * len(sentences), strict=True):
            subject = find_subject(sentence) if given is None else given
            ids = self.tokenizer(model_text(subject, sentence, self.clip_config.sampling))
            questions.append(Question(sentence, subject, ids))
        return questions

    def read_clip(
        self,
        video: str | os.PathLike[str],
        *,
        frames: tuple[int | None, int | None] = (None, None),
        seconds: tuple[float | None, float | None] = (None, None),
        resolution: int | None = None,
        decoder: str = "pyav",
        allow_partial: bool = False,
        progress: Progress | None = None,
    ) -> Clip:
        """Decodes and prepares the frames that the model looks at.

        Args:
            video: path of a video file.
            frames: (first, one past last) frame to search; None for the video's own.
            seconds: (start, end) to search instead.
            resolution: overrides the checkpoint's.
            decoder: "pyav" or "decord".
            allow_partial: take a damaged video up to its damage.
            progress: told what is going on.

        Raises:
            InputError: for a video that cannot be decoded or a clip that is empty or outside it.
        """
        # Here, not at the top: the library imports without a video decoder.
        from data_pipeline.frames import load_clip
        from data_pipeline.sampling import evaluation_frame_ids, interleave
        from data_pipeline.video import open_video

        config = self.clip_config
        with open_video(video, decoder=decoder, allow_partial=allow_partial) as reader:
            info = reader.info
            first, last = _clip_bounds(info.frame_count, info.timestamps_sec, frames, seconds)
            ids = evaluation_frame_ids(last - first, config.sampling, first, frames_per_pass=config.frames_per_pass)
            with (progress or Silent()).bar("reading frames", len(ids), "frame") as step:
                pixels = load_clip(reader, ids, resolution or config.resolution, step)
        passes = interleave(ids)
        length = max(map(len, passes))
        place = {int(frame): i for i, frame in enumerate(ids)}
        rows = [[place[int(f)] for f in np.pad(p, (0, length - len(p)), mode="edge")] for p in passes]
        return Clip(
            video=os.fspath(video),
            height=info.height,
            width=info.width,
            fps=info.fps,
            first=first,
            last=last,
            timestamps_sec=info.timestamps_sec,
            frame_ids=passes,
            frames=pixels[np.array(rows)],
        )

    def encode_clip(self, clip: Clip, *, progress: Progress | None = None) -> VideoFeatures:
        """Runs the visual backbones, once for any number of sentences."""
        return self._run_video(clip.frames, clip.frames_valid, progress)

    def answer(
        self, question: Question, clip: Clip, features: VideoFeatures, *, progress: Progress | None = None
    ) -> Tube:
        """Grounds one sentence (of `ask`) in a clip (of `read_clip`) whose features are known (`encode_clip`)."""
        bucket = next(b for b in _TEXT_BUCKETS if b >= len(question.ids))
        length = min(bucket, self.tokenizer.max_tokens)
        return _make_tube(clip, self._run_text(features, question.ids, length, progress), question)

    def _run_video(self, frames, frames_valid, progress: Progress | None = None) -> VideoFeatures:
        return self._encode(self._parameters, frames, frames_valid, progress=progress)

    def _run_text(
        self, features: VideoFeatures, ids: np.ndarray, length: int, progress: Progress | None = None
    ) -> GroundingOutput:
        """Asks the same question of every row of `features`; `ids` [l] is padded to `length`."""
        padded = np.pad(ids, (0, length - len(ids)), constant_values=_PAD_ID)
        valid = np.arange(length) < len(ids)
        rows = (len(features.appearance), length)
        texts = np.broadcast_to(padded, rows), np.broadcast_to(valid, rows)
        return self._ground(self._parameters, features, *texts, progress=progress)


def _clip_bounds(
    count: int,
    timestamps_sec: np.ndarray,
    frames: tuple[int | None, int | None],
    seconds: tuple[float | None, float | None],
) -> tuple[int, int]:
    """(first, one past last) frame of the part to search."""
    if any(f is not None for f in frames) and any(s is not None for s in seconds):
        raise InputError("give the part to search in frames or in seconds, not both")
    first = 0 if frames[0] is None else frames[0]
    last = count if frames[1] is None else frames[1]
    if seconds[0] is not None:
        first = int(np.searchsorted(timestamps_sec, seconds[0] - 1e-6))
    if seconds[1] is not None:
        last = int(np.searchsorted(timestamps_sec, seconds[1] - 1e-6))
    if not 0 <= first < last <= count:
        raise InputError(
            f"frames {first}:{last} are not a part of the video, which has frames 0:{count} "
            f"({timestamps_sec[-1]:.2f} s)"
        )
    return first, last


def _softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(log_softmax(logits))


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def _make_tube(clip: Clip, output: GroundingOutput, question: Question) -> Tube:
    passes, scores = [], []
    for i, ids in enumerate(clip.frame_ids):
        row, n = output.row(i), len(ids)
        start_end = row.start_end_logits[-1, :n]
        passes.append(PassPrediction(ids, row.boxes_cxcywh[-1, :n], start_end))
        probabilities = _softmax(start_end)
        sampling = np.ones(n, np.float32) if row.sampling_score is None else row.sampling_score[:n]
        actioness = _sigmoid(row.actioness_logits[-1, :n])
        scores.append((ids, sampling, actioness, probabilities[:, 0], probabilities[:, 1], np.full(n, i)))
    (start, end), box_frames, boxes = merge_passes(passes, clip.height, clip.width)
    columns = [np.concatenate(column) for column in zip(*scores, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Tube(
        video=clip.video,
        sentence=question.sentence,
        subject=question.subject,
        width=clip.width,
        height=clip.height,
        fps=clip.fps,
        clip=(clip.first, clip.last),
        start_frame=start,
        end_frame=end,
        start_sec=float(clip.timestamps_sec[start]),
        end_sec=_end_sec(clip, end),
        box_frames=box_frames,
        boxes_xyxy=np.minimum(boxes, np.array([clip.width, clip.height] * 2, np.float32)),
        scores=FrameScores(*(column[order] for column in columns)),
    )


def _end_sec(clip: Clip, end: int) -> float:
    """When frame `end` would begin; the last frame of the video lasts one average frame."""
    times = clip.timestamps_sec
    return float(times[end]) if end < len(times) else float(times[-1] + 1 / clip.fps)
