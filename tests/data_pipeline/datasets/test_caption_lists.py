"""Lists of videos with captions, against the lists that the release makes of them."""

import json
from pathlib import Path

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations import require_captions
from stvg_jax.data_pipeline.annotations.records import Annotations, VideoText
from stvg_jax.data_pipeline.datasets.caption_lists import RETRIEVAL_MEASURES, TEXT_TO_VIDEO
from stvg_jax.data_pipeline.datasets.reading import find_video_folder, read_annotations
from stvg_jax.data_pipeline.datasets.registry import get_dataset
from stvg_jax.data_pipeline.language.captions import caption_text

CASES = json.loads((Path(__file__).parents[2] / "goldens" / "retrieval_datasets.json").read_text())
DATASETS = ("didemo", "lsmdc", "msrvtt", "msvd")


def read(folder, entries, dataset="msrvtt", **options):
    (folder / "list.json").write_text(json.dumps(entries))
    return read_annotations(dataset, folder / "list.json", split="test", **options)


@pytest.mark.parametrize("case", [*DATASETS, "twice"])
def test_equals_the_released_evaluation(tmp_path, case):
    golden = CASES[case]
    samples = read(tmp_path, golden["annotation"], case if case in DATASETS else "msrvtt").samples
    assert [caption_text(sample.sentence) for sample in samples] == golden["text"]
    assert {sample.id: sample.entry for sample in samples} == golden["txt2vid"]
    assert [sample.video for sample in samples] == [golden["video"][sample.entry] for sample in samples]
    assert {sample.clip for sample in samples} == {None}


def test_single_texts_are_whole_and_belong_to_their_video(tmp_path):
    """The release takes them apart into characters."""
    entries = [{"video": name, "caption": text} for name, text in (("a", "One."), ("b", "two"), ("a", "three"))]
    samples = read(tmp_path, [*entries, {"video": "a", "caption": ["four"]}, *entries[1:2]]).samples
    assert [(sample.id, sample.entry, sample.sentence) for sample in samples] == [
        ("0", 0, "One."), ("1", 1, "two"), ("2", 0, "three"), ("3", 2, "four"), ("4", 1, "two"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"video": "v.mp4", "caption": []}, r"no caption \(1\):.*entry 1: caption is an empty list"),
        ({"video": "v.mp4", "caption": ["a", " . "]}, "empty caption .*caption is ' . ', which has no word"),
        ({"video": "v.mp4", "caption": [1]}, r"wrong type .*caption is \[1\], it must be text, or a list of texts"),
        ({"video": "v.mp4", "caption": None}, "caption is None, it must be text"),
        ({"video": 7, "caption": ["a"]}, "video is 7, it must be text"),
        ({"caption": ["a"]}, "missing key .*there is no video"),
        ({"video": "v.mp4", "caption": ["\ud800 a"]}, "half a character"),
        ("v.mp4", "the entry is 'v.mp4', it must be an object"),
    ],
)
def test_wrong_entries_are_reported_and_can_be_left_out(tmp_path, entry, problem):
    entries = [{"video": "a.mp4", "caption": ["one"]}, entry, {"video": "w.mp4", "caption": ["two"]}]
    with pytest.raises(InputError) as error:
        read(tmp_path, entries)
    assert error.match(rf"(?s){problem}")
    left = read(tmp_path, entries, on_problem="exclude")
    assert [(sample.sentence, sample.entry) for sample in left.samples] in (
        [("one", 0), ("two", 1)],
        [("one", 0), ("two", 2)],
    )
    assert left.problems and left.excluded


def test_captions_without_words_are_kept_on_request(tmp_path):
    samples = read(tmp_path, [{"video": "v.mp4", "caption": ["a", ""]}], on_problem="keep").samples
    assert [sample.sentence for sample in samples] == ["a", ""]


@pytest.mark.parametrize(
    ("dataset", "file", "split", "videos"),
    [
        ("didemo", "retrieval_val.json", "val", "videos"),
        ("lsmdc", "retrieval_test_1k.json", "test", "videos"),
        ("lsmdc", "retrieval_train_all.json", "train", "videos"),
        ("msrvtt", "ret_train9k.json", "train", "videos"),
        ("msrvtt", "annotations/retrieval_test.json", "test", "videos"),
        ("msvd", "cap_test.json", "test", "YouTubeClips"),
        ("msvd", "ret_train_all.json", "train", "YouTubeClips"),
    ],
)
def test_files_are_found_by_their_released_names(tmp_path, dataset, file, split, videos):
    (tmp_path / videos / "all").mkdir(parents=True)
    (tmp_path / videos / "all" / "v.mp4").touch()
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(json.dumps([{"video": "v.mp4", "caption": "a man"}]))
    folder = find_video_folder(dataset, tmp_path)
    assert [s.video for s in read_annotations(dataset, tmp_path, split=split, videos=folder).samples] == ["all/v.mp4"]


def test_other_files_are_no_lists_of_captions(tmp_path):
    (tmp_path / "list.json").write_text("{}")
    with pytest.raises(InputError, match="is an object; its annotations must be a list"):
        read_annotations("msvd", tmp_path / "list.json", split="test")
    text = VideoText(id="0", video="v.mp4", sentence="a")
    with pytest.raises(InputError, match="the dataset json has no captions of whole videos"):
        require_captions(Annotations("json", "test", [text], [], []))


def test_published_results():
    for name in DATASETS:
        benchmark = get_dataset(name).benchmarks[name]
        assert benchmark.measures == RETRIEVAL_MEASURES
        *others, stgt = benchmark.results
        assert (stgt.method, stgt.percent[TEXT_TO_VIDEO]) == ("STGT", (None,) * 4)
        assert stgt.source.endswith("are not given here")
        assert [result.method for result in others] == ["ALPRO"] * (name in ("didemo", "msrvtt"))
        for r1, r5, r10, median in (result.percent[TEXT_TO_VIDEO] for result in others):
            assert r1 < r5 < r10 and median == 3
