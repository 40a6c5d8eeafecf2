"""The entries of a store: ids as text, places of records, sealed text."""

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.core.files import seal, unseal
from stvg_jax.data_pipeline.shards.entries import StoredVideo, ids_from_text, ids_to_text


def entry(frames, frame_count=100, **changes):
    facts = {"width": 8, "height": 8, "fps": 25.0, "rotation": 0, "stored_width": 8, "stored_height": 8}
    source = {"source_bytes": 1, "source_mtime_ns": 1, "source_sha256": ""}
    shard = {"file": "shards/a.mp4.0.arrayrecord", "bytes": 1, "sha256": "", "frame_count": frame_count}
    return StoredVideo(**shard | {"frames": frames} | facts | source | changes)


@pytest.mark.parametrize(
    ("ids", "text"), [([0], "0"), ([0, 1, 2, 7], "0-2,7"), ([5, 7, 9], "5,7,9"), ([3, 4, 10, 11, 12], "3-4,10-12")]
)
def test_ids_are_written_as_ranges(ids, text):
    assert ids_to_text(np.array(ids)) == text
    assert ids_from_text(text).tolist() == ids


def test_records_are_found_by_frame():
    sampled = entry("0-2,7,9-10")
    assert sampled.stored_count == 6
    assert sampled.records_of([9, 0, 7, 3, 8, -1, 11]).tolist() == [4, 0, 3, -1, -1, -1, -1]
    assert entry(None).records_of([99, 100, -1, 0]).tolist() == [99, -1, -1, 0]


def test_an_entry_knows_whether_it_holds_frames():
    sampled = entry("0-2,7")
    assert sampled.holds(np.array([1, 7]))
    assert not sampled.holds(np.array([1, 6]))
    assert not sampled.holds(None)
    assert entry(None).holds(None)
    assert not entry(None).holds(np.array([100]))


def test_sealed_text_shows_every_changed_bit_and_every_cut():
    text = seal('{"video": "a \\"b\\".mp4", "entry": {"bytes": 5}}')
    assert unseal(text) == {"video": 'a "b".mp4', "entry": {"bytes": 5}}
    data = text.encode()
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
        assert unseal(changed.decode()) is None, place
        assert unseal(data[:place].decode()) is None, place


@pytest.mark.parametrize(
    "change",
    [
        *(
            {"file": file}
            for file in ("", "shards", "/etc/hostname", "../a", "shards/../../a", "a", "shards/a\0b", 3, None)
        ),
        *({"file": "shards/\ud83d"}, {"bytes": -1}, {"bytes": True}, {"bytes": 1.5}, {"sha256": None}, {"width": "8"}),
        *({"frame_count": 10**12}, {"rotation": 360}, {"fps": float("nan")}, {"fps": "25"}, {"source_mtime_ns": []}),
        *({"frames": frames} for frames in ("", "a", "0-", "-1", "0,,1", "\u0663", 3, ["0"], "0-9999999999")),
    ],
)
def test_entries_that_no_run_has_written_are_refused(change):
    with pytest.raises(InputError, match=f"has the {next(iter(change))} .*damaged or made up") as refused:
        entry(**{"frames": None} | change)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("frames", ["3,2", "0-5,4-6", "5-3", "7,7", "0-999999999"])
def test_ids_that_do_not_ascend_or_fill_the_memory_are_refused(frames):
    with pytest.raises(InputError, match="damaged or made up"):
        entry(frames).stored_count  # noqa: B018


def test_sealed_text_that_is_no_object_is_damaged():
    for text in ("[1]", "[" * 20_000, '{"a": ' + "9" * 5_000 + "}"):
        assert unseal(seal(text)) is None
