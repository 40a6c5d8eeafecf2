"""Epoch orders: pure functions, each sample once, one bucket per batch as far as possible."""

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.loading import order
from stvg_jax.data_pipeline.loading.order import NO_SAMPLE, evaluation_order, training_order

BUCKETS = np.random.default_rng(0).choice([252, 560, 588], size=203, p=[0.05, 0.5, 0.45])


def test_training_order_is_a_function_of_seed_and_epoch():
    first, again = (training_order(BUCKETS, 8, seed=1, epoch=2) for _ in range(2))
    np.testing.assert_array_equal(first.samples, again.samples)
    np.testing.assert_array_equal(first.buckets, again.buckets)
    for other in (training_order(BUCKETS, 8, seed=2, epoch=2), training_order(BUCKETS, 8, seed=1, epoch=3)):
        assert not np.array_equal(first.samples, other.samples)


def test_training_leaves_out_only_the_remainder_and_not_the_same_one():
    left_out = []
    for epoch in range(200):
        order = training_order(BUCKETS, 8, seed=0, epoch=epoch)
        assert order.samples.shape == (25, 8)
        assert len(np.unique(order.samples)) == 200
        left_out.append(np.setdiff1d(np.arange(203), order.samples))
    # Three of 203 in each of 200 epochs: everyone is left out three times on average.
    counts = np.bincount(np.concatenate(left_out), minlength=203)
    assert counts.max() <= 12
    assert np.mean(counts > 0) > 0.9


def test_batches_are_padded_to_their_widest_sample_and_few_are_mixed():
    order = training_order(BUCKETS, 8, seed=0, epoch=0)
    assert np.all(BUCKETS[order.samples] <= order.buckets[:, None])
    mixed = [len(np.unique(BUCKETS[row])) > 1 for row in order.samples]
    assert sum(mixed) <= 2
    assert len(np.unique(order.buckets[:12])) > 1, "batches of one width must not all come first"


def test_a_bucket_smaller_than_a_batch_needs_no_shape_of_its_own():
    order = training_order(np.array([10, 10, 20, 20, 20, 20]), 3, seed=0, epoch=0)
    assert order.buckets.tolist() == [20, 20]
    assert sorted(order.samples.ravel().tolist()) == list(range(6))


@pytest.mark.parametrize("batch_size", [1, 7, 8, 300])
@pytest.mark.parametrize("only", [None, [5, 3, 200], []])
def test_evaluation_has_each_sample_once(batch_size, only):
    order = evaluation_order(BUCKETS, batch_size, only)
    wanted = list(range(203)) if only is None else sorted(only)
    assert sorted(order.samples[order.samples != NO_SAMPLE].tolist()) == wanted
    assert len(order.samples) == -(-len(wanted) // batch_size)
    full = order.samples[:-1]
    assert np.all(full != NO_SAMPLE), "only the last batch may be filled up"


def test_generators_of_different_uses_give_different_numbers():
    uses = [(0, 0, 0, 0), (0, 0, 1, 0), (0, 0, 1, 1), (0, 1, 0, 0), (1, 0, 0, 0), (1, 1, 1, 2)]
    drawn = {use: order.generator(*use).integers(0, 2**62, 4).tolist() for use in uses}
    assert len({number for numbers in drawn.values() for number in numbers}) == 4 * len(uses)
    assert drawn[0, 0, 1, 1] == order.generator(0, 0, 1, 1).integers(0, 2**62, 4).tolist()


def test_numbers_are_those_of_a_key_and_a_counter():
    """Of seed and epoch, and of sample and purpose; the lower half counts the numbers."""
    expected = np.random.Philox(key=[5, 6], counter=[0, 0, 7, order.CLIP]).random_raw(8)
    np.testing.assert_array_equal(order.generator(5, 6, order.CLIP, 7).bit_generator.random_raw(8), expected)
    assert (order.ORDER, order.CLIP) == (0, 1)


def test_what_belongs_to_no_sample_is_drawn_as_for_the_first():
    alone, first = order.generator(5, 6, order.ORDER), order.generator(5, 6, order.ORDER, 0)
    assert alone.integers(0, 2**62, 4).tolist() == first.integers(0, 2**62, 4).tolist()


def test_what_an_epoch_leaves_out_is_drawn_from_seed_and_epoch():
    drawn = order.generator(1, 2, order.ORDER).permutation(203)
    assert sorted(training_order(BUCKETS, 8, seed=1, epoch=2).samples.ravel().tolist()) == sorted(drawn[:200].tolist())


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_seeds_up_to_63_bits(seed):
    order.check_seed(seed)


def test_a_seed_of_64_bits_is_refused():
    with pytest.raises(InputError, match="seed 9223372036854775808: give a whole number from 0 to 9223372036854775807"):
        order.check_seed(2**63)
