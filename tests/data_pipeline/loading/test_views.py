"""Views: where boxes are after cutting, resizing and flipping."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from stvg_jax.core.config import load_config_file
from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.frames import model_size
from stvg_jax.data_pipeline.loading.config import LoaderConfig, bucket_size
from stvg_jax.data_pipeline.loading.plan import View, training_view, whole_view
from tests.data_pipeline.loading.cases import CONFIG
from tests.data_pipeline.test_frames import TUBEDETR, named

STORED, ORIGINAL = (64, 80), (128, 160)

# What the released training transforms (TA-STVG and CG-STVG alike, 420 rows, four scales and cuts configured) made of
# 1000 clips of 420 x 588 pictures of a video of 1280 x 720: 706 were mirrored, and not one was resized or cut.
RELEASED_XYXY = [[100, 50, 400, 700], [0, 0, 1280, 720], [3, 5, 640.5, 99]]
RELEASED_CXCYWH = {
    False: [
        [0.1953125, 0.5208333134651184, 0.234375, 0.9027777314186096],
        [0.5, 0.5, 1.0, 1.0],
        [0.2513671815395355, 0.07222221791744232, 0.4980468451976776, 0.13055554032325745],
    ],
    True: [
        [0.8046875, 0.5208333134651184, 0.234375, 0.9027777314186096],
        [0.5, 0.5, 1.0, 1.0],
        [0.7486327886581421, 0.07222221791744232, 0.4980469346046448, 0.13055554032325745],
    ],
}


def draw(boxes=((0.4, 0.4, 0.6, 0.6),), seed=0, **changes):
    config = dataclasses.replace(CONFIG, **({"flip": 0.0} | changes))
    return training_view(STORED, ORIGINAL, np.array(boxes, float).reshape(-1, 4), config, np.random.default_rng(seed))


def test_by_default_the_whole_picture_is_shown():
    assert draw() == View(STORED, (0, 0, 64, 80), (32, 40), False)
    assert draw(flip=1.0) == View(STORED, (0, 0, 64, 80), (32, 40), True)


def test_a_box_is_moved_with_the_part_and_cut_off_at_its_edges():
    view = View(stored=(100, 200), part=(10, 50, 40, 100), size=(20, 50))
    boxes = np.array([[0.25, 0.1, 0.75, 0.5], [0.5, 0.3, 1.0, 1.0]])
    np.testing.assert_allclose(view.show(boxes), [[0, 0, 1, 1], [0.5, 0.5, 1, 1]])
    flipped = dataclasses.replace(view, flip=True)
    np.testing.assert_allclose(flipped.show(boxes), [[0, 0, 1, 1], [0, 0.5, 0.5, 1]])


@pytest.mark.parametrize("case", named(TUBEDETR))
def test_boxes_of_a_resized_picture_are_the_released_ones(case):
    height, width = (int(n) for n in case.split(".")[1].split("x"))
    x, y, box_width, box_height = TUBEDETR[case + ".box_xywh"]
    corners = np.array([[x, y, x + box_width, y + box_height]]) / [width, height, width, height]
    ((left, top, right, bottom),) = whole_view((height, width), tuple(TUBEDETR[case + ".shape"][:2])).show(corners)
    shown = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    # Rounding of float32 in the released code.
    np.testing.assert_allclose(shown, TUBEDETR[case + ".box_cxcywh"], rtol=0, atol=1e-7)


def test_views_are_those_of_the_released_training():
    boxes = np.array(RELEASED_XYXY) / [1280, 720, 1280, 720]
    config = LoaderConfig(reference=True)
    views = [training_view((420, 588), (720, 1280), boxes, config, np.random.default_rng(seed)) for seed in range(1000)]
    assert abs(sum(view.flip for view in views) - 706) < 60
    for view in views:
        assert (view.part, view.size) == ((0, 0, 420, 588), (420, 588))
        corners = view.show(boxes)
        centres = (corners[:, :2] + corners[:, 2:]) / 2
        shown = np.concatenate([centres, corners[:, 2:] - corners[:, :2]], axis=1)
        np.testing.assert_allclose(shown, RELEASED_CXCYWH[view.flip], atol=1e-6)


@pytest.mark.parametrize("changes", [{"scales": (388, 420)}, {"size_crop": 0.5}])
def test_released_training_never_resizes_or_cuts(changes):
    with pytest.raises(InputError, match="leave them at"):
        LoaderConfig(reference=True, **changes)


def released_size(height, width, side, longest):
    """(height, width) by `get_size_with_aspect_ratio` of both releases, worked out by hand."""
    short, long = min(height, width), max(height, width)
    side = round(longest * short / long) if long / short * side > longest else side
    return (side, int(side * width / height)) if height <= width else (int(side * height / width), side)


OWN = {
    "stcat_hcstvg1": ("proportional", 448, 720, (448, 416, 384, 352), (400, 500, 600), (384, 600), 50),
    "tubedetr_hcstvg1": ("five_to_three", 352, 587, (224, 256, 288, 320, 352), (200, 250, 300), (192, 587), 100),
}


def own_config(name):
    """The loader of a released configuration, without flips; and the longest side."""
    sizing, resolution, longest, scales, crop_scales, crop_sides, tries = OWN[name]
    loader = load_config_file(Path(name))["loader"]
    assert (loader["scales"], loader["crop_scales"], loader["crop_sides"]) == (scales, crop_scales, crop_sides)
    assert (loader["size_crop"], loader["crop_tries"]) == (0.5, tries)
    settings = dict(loader) | {"flip": 0.0}
    return LoaderConfig(sizing=sizing, resolution=resolution, **settings), longest


@pytest.mark.parametrize("original", [(720, 1280), (640, 360), (480, 640)])
@pytest.mark.parametrize("name", OWN)
def test_whole_pictures_have_the_sizes_of_the_released_training(name, original):
    config, longest = own_config(name)
    config = dataclasses.replace(config, size_crop=0.0)
    boxes = np.array([[0.4, 0.4, 0.6, 0.6]])
    views = [training_view(original, original, boxes, config, np.random.default_rng(seed)) for seed in range(100)]
    assert {view.size for view in views} == {released_size(*original, side, longest) for side in config.scales}
    assert {view.part for view in views} == {(0, 0, *original)}


@pytest.mark.parametrize("original", [(720, 1280), (640, 360)])
@pytest.mark.parametrize("name", OWN)
def test_parts_have_the_sizes_of_the_released_training(name, original):
    """A part that does not fit into a batch of whole pictures is reduced, which the release does not do."""
    config, longest = own_config(name)
    config = dataclasses.replace(config, size_crop=1.0)
    room = bucket_size(model_size(*original, config.resolution, config.sizing), config)
    boxes, fitted = np.array([[0.45, 0.45, 0.55, 0.55]]), 0
    least, most = config.crop_sides
    for seed in range(200):
        view = training_view(original, original, boxes, config, np.random.default_rng(seed))
        _, _, height, width = view.part
        # Its sides in pixels of the picture from which it is cut, for one of the three scales.
        factors = [scale / min(original) for scale in config.crop_scales]
        assert any(least - 1 <= min(height, width) * f and max(height, width) * f <= most + 1 for f in factors)
        sizes = {released_size(height, width, side, longest) for side in config.scales}
        assert view.size[0] <= room[0] and view.size[1] <= room[1]
        if view.size in sizes:
            fitted += 1
        else:
            assert room[0] in (view.size[0], view.size[0] + 1) or room[1] in (view.size[1], view.size[1] + 1)
            # Rounded twice.
            assert abs(view.size[0] / height - view.size[1] / width) < 3 / min(height, width)
    assert fitted > 100


@pytest.mark.parametrize(("place", "longest"), [(0, False), (2, True)])
def test_an_upright_picture_is_cut_by_its_shorter_side(place, longest):
    config = dataclasses.replace(own_config("tubedetr_hcstvg1")[0], size_crop=1.0, scales=())
    view = training_view((6400, 3600), (6400, 3600), np.array([[0.2, 0.2, 0.3, 0.3]]), config, Extreme(place, longest))
    # Of 356 x 200 pixels 192 x 192; of 533 x 300 all.
    expected = (6400, 3600) if longest else (round(192 / (200 * 16 / 9) * 6400), round(192 / 200 * 3600))
    assert view.part[2:] == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"crop_scales": (200,)},
        {"crop_sides": (10, 20)},
        {"crop_scales": (200, 100), "crop_sides": (150, 300)},
        {"crop_scales": (200,), "crop_sides": (150,)},
        {"crop_scales": (200,), "crop_sides": (150, 100)},
    ],
)
def test_sides_of_parts_are_checked(changes):
    with pytest.raises(InputError, match="give both, or .. for both"):
        LoaderConfig(**changes)
    with pytest.raises(InputError, match="crop_tries=0 must be positive"):
        LoaderConfig(crop_tries=0)


def test_flip_happens_as_often_as_asked():
    flips = [draw(flip=0.7, seed=seed).flip for seed in range(2000)]
    assert abs(np.mean(flips) - 0.7) < 0.04


def test_scales_are_drawn_evenly():
    heights = [draw(scales=(32, 24, 16), seed=seed).size for seed in range(600)]
    assert set(heights) == {(32, 40), (24, 30), (16, 20)}
    assert min(heights.count(size) for size in set(heights)) > 150


@pytest.mark.parametrize("scales", [(), (32, 24)])
def test_crops_fit_the_bucket_and_keep_some_of_each_box(scales):
    boxes = np.array([[0.05, 0.05, 0.1, 0.1], [0.5, 0.8, 0.7, 0.95]])
    parts = set()
    for seed in range(300):
        view = draw(boxes, seed=seed, size_crop=1.0, scales=scales)
        top, left, height, width = view.part
        assert 0 <= top < top + height <= 64
        assert 0 <= left < left + width <= 80
        assert view.size[0] <= 32
        assert view.size[1] <= 40
        assert view.size[0] == 32 or view.size[1] == 40 or scales, "as large as fits"
        # Proportions are kept: both sides have the same factor, up to whole pixels.
        assert abs(view.size[0] / height - view.size[1] / width) < 1.5 / min(height, width)
        shown = view.show(boxes)
        assert np.all(shown[:, 2:] > shown[:, :2])
        parts.add(view.part)
    assert len(parts) > 100


def test_a_crop_at_the_smallest_scale_has_a_pixel():
    sizes = {draw(seed=seed, size_crop=1.0, scales=(1,)).size for seed in range(200)}
    assert sizes == {(1, 1)}


def test_a_crop_that_would_lose_a_box_is_not_made():
    # Boxes in all corners, thinner than what the smallest cut takes away.
    corners = [[0, 0, 0.01, 0.01], [0.99, 0, 1, 0.01], [0, 0.99, 0.01, 1], [0.99, 0.99, 1, 1]]
    assert all(
        np.all(np.diff(draw(corners, seed=s, size_crop=1.0).show(np.array(corners))[:, ::2]) > 0) for s in range(50)
    )


class Extreme:
    """Stands in for a generator: always cuts, from the scale at `place`, sides as short or long as they may be."""

    def __init__(self, place, longest):
        self.place, self.longest = place, longest

    def random(self):
        return 0.0

    def choice(self, values):
        return values[self.place]

    def uniform(self, low, high):
        return np.broadcast_to(high if self.longest else low, np.shape(high))


@pytest.mark.parametrize("resolution", [210, 420])
@pytest.mark.parametrize(
    ("place", "longest", "expected"),
    [
        # Rows of 400, 500 or 600 at resolution 420, columns of 480, 600 or 720; parts with sides of 384 to 600.
        (0, False, (384 / 400, 384 / 480)),
        (1, False, (384 / 500, 384 / 600)),
        (2, False, (384 / 600, 384 / 720)),
        (0, True, (1, 1)),
        (1, True, (1, 1)),
        (2, True, (1, 600 / 720)),
    ],
)
def test_sides_of_a_cut_are_those_of_the_released_configuration(resolution, place, longest, expected):
    config = dataclasses.replace(CONFIG, resolution=resolution, size_crop=1.0, flip=0.0)
    stored, boxes = (12000, 14400), np.array([[0.45, 0.45, 0.55, 0.55]])
    # A corner drawn like the sides: at the top left, or as far to the bottom right as fits.
    view = training_view(stored, (1000, 1200), boxes, config, Extreme(place, longest))
    sides = np.round(np.array(expected) * stored)
    np.testing.assert_array_equal(view.part, [*(np.subtract(stored, sides) if longest else (0, 0)), *sides])


def test_a_cut_of_a_tiny_picture_has_a_pixel():
    """Two columns, of which both borders of the cut are nearest to the one in the middle."""

    class Middle(Extreme):
        def uniform(self, low, high):
            return low if np.min(low) > 0 else (low + high) / 2

    config = dataclasses.replace(CONFIG, resolution=420, size_crop=1.0, flip=0.0)
    view = training_view((2, 2), (1000, 1400), np.array([[0.0, 0.0, 1.0, 1.0]]), config, Middle(2, False))
    # Sides of 384 of 600 rows and of 840 columns: 0.36 to 1.64 of two rows and 0.54 to 1.46 of two columns.
    assert view.part == (0, 1, 2, 1)
