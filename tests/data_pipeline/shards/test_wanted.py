"""The frames that are stored for given annotations."""

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations.records import Sample
from stvg_jax.data_pipeline.datasets.registry import all_datasets
from stvg_jax.data_pipeline.frame_rules import Amount, evaluation_frame_ids, training_frame_ids
from stvg_jax.data_pipeline.shards import wanted_frames


def sample(video, clip, tube=None):
    facts = {"subject": "man", "kind": "declarative", "category": "person", "width": 8, "height": 8}
    tube = tube or clip
    boxes = np.zeros((tube[1] - tube[0], 4))
    return Sample(id="0", video=video, sentence="a man", clip=clip, tube=tube, boxes_xyxy=boxes, **facts)


def test_the_training_grid_of_hcstvg_is_part_of_the_evaluations():
    """TA-STVG, datasets/data_utils.py: training samples at 3.2 frames per second, evaluation at twice that."""
    for frame_count in [*range(1, 900), 1501, 5000]:
        evaluation = evaluation_frame_ids(frame_count, "hcstvg")
        training = evaluation_frame_ids(frame_count, "hcstvg", sample_fps=1.6)
        assert np.isin(training, evaluation).all(), frame_count


@pytest.mark.parametrize(("dataset", "policy"), [("hcstvg", "sampled"), ("hcstvg", "clips"), ("vidstg", "clips")])
def test_whatever_training_draws_is_stored(dataset, policy):
    rng = np.random.default_rng(0)
    samples = [sample("a.mp4", (0, 568), tube) for tube in ((0, 568), (2, 4), (100, 200), (301, 302), (560, 568))]
    stored = wanted_frames(samples, dataset, policy)["a.mp4"]
    for one in samples * 40:
        assert np.isin(training_frame_ids(568, dataset, tube=one.tube, rng=rng), stored).all()


def test_sampled_frames_are_those_of_evaluation():
    samples = [sample("b.mp4", (0, 30)), sample("a.mp4", (0, 568)), sample("a.mp4", (0, 568), (3, 90))]
    wanted = wanted_frames(samples, "hcstvg", "sampled")
    assert list(wanted) == ["a.mp4", "b.mp4"]
    np.testing.assert_array_equal(wanted["a.mp4"], evaluation_frame_ids(568, "hcstvg"))
    assert len(wanted["a.mp4"]) == 129


def test_a_video_of_several_clips_is_stored_once_with_the_frames_of_all():
    samples = [sample("a.mp4", (40, 43)), sample("a.mp4", (10, 14)), sample("a.mp4", (12, 16))]
    assert wanted_frames(samples, "vidstg", "clips")["a.mp4"].tolist() == [10, 11, 12, 13, 14, 15, 40, 41, 42]
    assert wanted_frames(samples, "hcstvg", "clips")["a.mp4"].tolist() == [10, 11, 12, 13, 14, 40, 41]
    assert wanted_frames(samples, "vidstg", "all") == {"a.mp4": None}
    sampled = wanted_frames([sample("a.mp4", (100, 400))], "vidstg", "sampled")["a.mp4"]
    np.testing.assert_array_equal(sampled, evaluation_frame_ids(300, "vidstg", 100))


def test_frames_may_be_those_of_another_frame_rule():
    """Of TubeDETR: 100 of 568 frames, and one in a tube that none of them hits."""
    samples = [sample("a.mp4", (0, 568)), sample("a.mp4", (0, 568), (3, 5))]
    options = {"rule": "tubedetr_hcstvg", "amount": Amount(frames_per_pass=200, sample_fps=5.0)}
    ids = evaluation_frame_ids(568, "tubedetr_hcstvg", passes=1, frames_per_pass=200, sample_fps=5.0)
    wanted = wanted_frames(samples, "hcstvg", "sampled", **options)["a.mp4"]
    assert len(ids) == 100 and not {3, 4} & set(ids)
    assert wanted.tolist() == sorted([*ids, 3])
    assert wanted_frames(samples, "hcstvg", "clips", **options)["a.mp4"].tolist() == list(range(567))
    whole = wanted_frames(samples, "vidstg", "clips", **options | {"rule": "tubedetr_vidstg"})["a.mp4"]
    assert whole.tolist() == list(range(568))
    with pytest.raises(InputError, match="tubedetr_vidstg needs the rates of the videos, .* take clips or all"):
        wanted_frames(samples, "vidstg", "sampled", rule="tubedetr_vidstg")


def test_every_dataset_has_a_default():
    stored = {dataset.name: dataset.stored_frames for dataset in all_datasets()}
    captions = dict.fromkeys(("didemo", "lsmdc", "msrvtt", "msvd", "shapes"), "all")
    assert stored == {"hcstvg": "sampled", "vidstg": "clips", "json": "clips"} | captions


def test_unusable_choices_are_refused():
    with pytest.raises(InputError, match="choose one of sampled, clips, all"):
        wanted_frames([], "hcstvg", "some")
    with pytest.raises(InputError, match="no frame rule for 'json'"):
        wanted_frames([], "json", "sampled")
