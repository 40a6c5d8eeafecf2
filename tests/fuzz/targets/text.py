"""Annotations, labels, predictions, records, tokenizers, configurations: what is text."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tests.data_pipeline.annotations.folders import (
    generic_file,
    generic_sample,
    hcstvg_entry,
    merged_pair,
    trajectories,
    vidstg_entry,
    write_json,
)
from tests.fuzz import mutations
from tests.fuzz.engine import Target
from tests.fuzz.worker import Place, check_text

_JSON = (mutations.damage_json, mutations.damage_json, mutations.damage_bytes)
_TOKENS = (
    *(b"null", b"true", b"-1", b"1e400", b"NaN", b"-Infinity", b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\ud83d"),
    *(b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\x00", b"\x1b[31m", b"\\u0000", b"../../escape", b"99999999999999999999"),
)


def _dumped(*contents: object) -> list[bytes]:
    return [json.dumps(content).encode() for content in contents]


# ---- annotations ----


def _hcstvg(folder: Path) -> list[bytes]:
    labelled = hcstvg_entry(sub="the man", verb_index_list=[1, 2], adj_index_list=[0])
    return _dumped({"1_a.mp4": hcstvg_entry()}, {"1_a.mp4": labelled, "2_b.mp4": hcstvg_entry(caption="A dog runs.")})


def _read_hcstvg(data: bytes, place: Place) -> object:
    return _read_annotations("hcstvg", place.file("test.json", data))


def _generic(folder: Path) -> list[bytes]:
    words = {"vocabularies": {"appearance": ["red"], "motion": ["sit"]}}
    full = generic_sample(
        clip=[0, 20], subject="the man", kind="interrogative", category="x", appearance=["red"], motion=[]
    )
    return _dumped(generic_file(), generic_file(full, generic_sample(id="two"), **words))


def _read_generic(data: bytes, place: Place) -> object:
    return _read_annotations("json", place.file("test.json", data))


def _captions(folder: Path) -> list[bytes]:
    one, many = (
        {"video": "folder/a.mp4", "caption": "A man. Cooks!"},
        {"video": "100.mp4", "caption": ["a", "two dogs"]},
    )
    return _dumped([one], [many, one | {"extra": 1}, many])


def _read_captions(data: bytes, place: Place) -> object:
    return _read_annotations("msvd", place.file("cap_test.json", data))


def _vidstg(folder: Path) -> list[bytes]:
    return _dumped([vidstg_entry()], [vidstg_entry(), vidstg_entry(captions=[])], [merged_pair(0), merged_pair(1)])


def _read_vidstg(data: bytes, place: Place) -> object:
    path = place.file("test_annotations.json", data)
    write_json(place.input / "bbox_annos" / "100.json", trajectories())
    return _read_annotations("vidstg", path, trajectories=place.input / "bbox_annos")


def _trajectories(folder: Path) -> list[bytes]:
    return _dumped(trajectories(16), trajectories(16, missing=(11,)))


def _read_trajectories(data: bytes, place: Place) -> object:
    path = place.file("test_annotations.json", json.dumps([vidstg_entry()]).encode())
    (place.input / "bbox_annos").mkdir()
    (place.input / "bbox_annos" / "100.json").write_bytes(data)
    return _read_annotations("vidstg", path, trajectories=place.input / "bbox_annos")


def _read_annotations(dataset: str, path: Path, **options: Path) -> object:
    from stvg_jax.core.errors import InputError
    from stvg_jax.data_pipeline.annotations import match_videos, raise_problems
    from stvg_jax.data_pipeline.datasets.reading import check_against_videos, read_annotations
    from stvg_jax.data_pipeline.shards.wanted import wanted_frames

    counts = []
    for on_problem in ("exclude", "keep", "raise"):
        try:
            read = read_annotations(dataset, path, split="test", on_problem=on_problem, **options)
        except InputError:
            if on_problem == "raise":
                raise
            continue
        lengths = {"folder/a.mp4": 20, "100.mp4": 40}
        facts = {video: SimpleNamespace(frame_count=n, width=160, height=120) for video, n in lengths.items()}
        problems = check_against_videos(match_videos(read, facts), facts)
        try:
            raise_problems(problems, "annotations and frames")
        except InputError as error:
            check_text(str(error))
        # The frames of a long clip are as many as the annotation says.
        if all(sample.clip is None or sample.clip[1] - sample.clip[0] < 10**6 for sample in read.samples):
            wanted_frames(read.samples, dataset, "clips")
        counts += [len(read.samples), len(read.excluded)]
    return counts


def _labels(folder: Path) -> list[bytes]:
    sample = {"sentence": "The man in red sits down.", "appearance": [0], "motion": [0]}
    return _dumped(
        {
            "format": "stvg_jax.labels/1",
            "appearance": {"red": 3},
            "motion": {"sit": 2},
            "splits": {"test": {"one": sample}},
        }
    )


def _read_labels(data: bytes, place: Place) -> object:
    from stvg_jax.data_pipeline.datasets.reading import read_annotations

    path = place.file("labels.json", data)
    annotations = write_json(place.input / "test.json", generic_file())
    return len(read_annotations("json", annotations, split="test", labels=path).samples)


def _words(folder: Path) -> list[bytes]:
    return _dumped({"words": ["red", "square", "left"]}, {"smll": "small", "a": "b"})


def _read_words(data: bytes, place: Place) -> object:
    from stvg_jax.core.errors import InputError
    from stvg_jax.data_pipeline.datasets.vidstg_files import read_replacements
    from stvg_jax.experiment.tokenizers import read_words

    path = place.file("words.json", data)
    try:
        words = len(read_words(path))
    except InputError:
        words = None
    return words, len(read_replacements(path))


# ---- predictions ----


def _predictions(folder: Path) -> list[bytes]:
    boxes = {"3": [[10, 20, 40, 60]], "4": [[11, 21, 41, 61]]}
    section = {"predictions": {"one": boxes}, "video_predictions": {"one": {"sted": [3, 5], "qtype": "declar"}}}
    return _dumped(section, {"viou": 0.5, **section, "vid2names": {"one": "a.mp4"}})


def _read_predictions(data: bytes, place: Place) -> object:
    return _score(place.file("predictions.json", data), place)


def _records(folder: Path) -> list[bytes]:
    from stvg_jax.grounding.evaluation.records import Record
    from tests.grounding.evaluation.cases import make_prediction, make_sample, make_scores

    frames = np.arange(0, 12, 3)
    lines = []
    for id in ("one", "two"):
        sample = make_sample(id, (3, 5), video="a.mp4", clip=(0, 20))
        record = Record.of(sample, make_prediction((3, 6), frames=frames), make_scores(frames, (3, 6)))
        lines.append(record.to_line())
    return [("\n".join(lines) + "\n").encode(), (lines[0] + "\n").encode()]


def _read_records(data: bytes, place: Place) -> object:
    return _score(place.file("records.jsonl", data), place)


def _score(path: Path, place: Place) -> object:
    """As `stvg-jax score` does."""
    from stvg_jax.data_pipeline.datasets.reading import read_annotations
    from stvg_jax.grounding.evaluation.scoring import read_predictions, score_results, write_metrics
    from stvg_jax.grounding.evaluation.table import results_table

    annotations = read_annotations(
        "json", write_json(place.input / "test.json", generic_file()), split="test", on_problem="exclude"
    )
    score = score_results(read_predictions(path), annotations.samples, missing="zero")
    results_table(score.groups, None, path.name, "json, test").text()
    place.out.mkdir(exist_ok=True)
    write_metrics(place.out / "metrics.json", score, dataset="json", split="test", predictions=str(path))
    return sorted(score.metrics)


def _encoded(folder: Path) -> list[bytes]:
    from stvg_jax.retrieval.evaluation.records import EncodedRecord

    values = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    lines = [EncodedRecord(id, values[:2], values).to_line() for id in ("0", "1")]
    return [("\n".join(lines) + "\n").encode(), (lines[0] + "\n").encode()]


def _read_encoded(data: bytes, place: Place) -> object:
    from stvg_jax.eval.records import read_records
    from stvg_jax.retrieval.evaluation.records import EncodedRecord

    records = read_records(place.file("records.jsonl", data), EncodedRecord.from_line)
    return [(record.id, record.video.shape, float(record.texts.sum())) for record in records]


# ---- tokenizers and configurations ----


def _vocabularies(folder: Path) -> list[bytes]:
    words = ["[PAD]", *(f"[unused{n}]" for n in range(99)), "[UNK]", "[CLS]", "[SEP]", "a", "man", "##s"]
    return ["\n".join(words).encode(), ("\n".join([*words, "dog"]) + "\n").encode()]


def _read_vocabulary(data: bytes, place: Place) -> object:
    from stvg_jax.convert.wordpiece import save_wordpiece
    from stvg_jax.runtime.tokenizer import Tokenizer

    place.file("vocab.txt", data)
    shutil.rmtree(place.out / "made", ignore_errors=True)
    save_wordpiece(place.input, place.out / "made", 107)
    return Tokenizer(place.out / "made", 8).cut("a man's dog, and much more than fits").tolist()


def _tokenizers(folder: Path) -> list[bytes]:
    import tokenizers

    from stvg_jax.runtime.tokenizer import write_word_tokenizer

    write_word_tokenizer(folder / "words", ["the red square goes left"], 100)
    letters = {
        letter: number for number, letter in enumerate(["<s>", "<pad>", "</s>", "<unk>", *"abcdehrst", "th", "the"])
    }
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE(letters, [("t", "h"), ("th", "e")], unk_token="<unk>"))
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    bpe.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return [(folder / "words" / "tokenizer.json").read_bytes(), bpe.to_str().encode()]


def _read_tokenizer(data: bytes, place: Place) -> object:
    from stvg_jax.convert.tokenizer import save_tokenizer
    from stvg_jax.core.errors import InputError
    from stvg_jax.runtime.tokenizer import Tokenizer

    path = place.file("tokenizer.json", data)
    ids = Tokenizer(path.parent, 512)("the red square goes left")
    try:
        shutil.rmtree(place.out / "tokenizer", ignore_errors=True)
        save_tokenizer(path.parent, place.out / "tokenizer", 100)
    except InputError as error:
        check_text(str(error))
    return len(ids)


_CONFIG = b'''"""A configuration."""
import ml_collections


def get_config(phase=""):
    config = ml_collections.ConfigDict({"name": "ta_stvg", "train": {"steps": 3, "rate": 1e-4, "scales": (1, 2)}})
    config.model = ml_collections.ConfigDict({"widths": [1, 2], "title": "x"})
    return config
'''


def _configurations(folder: Path) -> list[bytes]:
    return [_CONFIG]


def _read_configuration(data: bytes, place: Place) -> object:
    from stvg_jax.core.config import load_config_file

    return sorted(load_config_file(place.file("config.py", data)))


def _overrides(folder: Path) -> list[bytes]:
    return [b"--config.train.steps=5", b"--config.model.title=y\n--config.train.rate=1", b"--config.train.scales=(3,4)"]


def _read_overrides(data: bytes, place: Place) -> object:
    from stvg_jax.core.config import load_config_file, overridden

    # What a shell can hand over: no NUL, undecodable bytes as surrogates.
    arguments = data.replace(b"\0", b"").decode("utf-8", "surrogateescape").split("\n")
    config = load_config_file(place.file("config.py", _CONFIG), arguments)
    return sorted(map(str, overridden(config, arguments)))


_PYTHON = (
    b"raise SystemExit(3)",
    b"1 / 0",
    b"return",
    b"(",
    b")",
    b"config",
    b"\t",
    b"None",
    b"import",
    b"get_config",
    b"{}",
)
_OPTIONS = (
    b"--config",
    b"--config.",
    b".",
    b"=",
    b"==",
    b"train",
    b"model",
    b"steps",
    b"(",
    b"[1]",
    b"None",
    b"'",
    b"1e400",
)
TARGETS = (
    Target("annotations-hcstvg", _hcstvg, _read_hcstvg, _JSON, _TOKENS),
    Target("annotations-vidstg", _vidstg, _read_vidstg, _JSON, _TOKENS),
    Target("annotations-json", _generic, _read_generic, _JSON, _TOKENS),
    Target("annotations-captions", _captions, _read_captions, _JSON, _TOKENS),
    Target("trajectories", _trajectories, _read_trajectories, _JSON, _TOKENS),
    Target("labels", _labels, _read_labels, _JSON, _TOKENS),
    Target("words", _words, _read_words, _JSON, _TOKENS),
    Target("predictions", _predictions, _read_predictions, _JSON, _TOKENS),
    Target("records", _records, _read_records, (mutations.damage_lines,), _TOKENS),
    Target("records-retrieval", _encoded, _read_encoded, (mutations.damage_lines,), _TOKENS),
    Target("vocabulary", _vocabularies, _read_vocabulary, (mutations.damage_bytes,), _TOKENS),
    Target("tokenizer", _tokenizers, _read_tokenizer, _JSON, _TOKENS),
    Target("configuration", _configurations, _read_configuration, (mutations.damage_bytes,), _PYTHON + _TOKENS),
    Target("overrides", _overrides, _read_overrides, (mutations.damage_bytes,), _OPTIONS + _TOKENS),
)
