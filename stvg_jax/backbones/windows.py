"""3-D windows of Video Swin, cut from the feature grids of padded and unpadded batches.

The released Video Swin pads a grid at its far ends to whole windows and lets every token attend to that padding; it
shifts cyclically over the padded grid; and it shrinks a window to the grid if the grid is smaller. All of this depends
on the real size of each video. Two plans give the same windows:

- `DensePlan` pads, rolls and reshapes with static shapes, for batches without padding. It is fast.
- `GatherPlan` gathers windows by index, for samples with their own real sizes inside a common bucket.
"""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

Size3 = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Windows:
    """Tokens cut into windows: g windows of all samples, n slots in each.

    Attributes:
        tokens: [g, n, c].
        regions: int32 [g or a divisor of g, n], repeated over g. Tokens of different regions are separated by a seam.
            None without a shift.
        present: bool [g, n], True for slots that exist; a window that is shrunk to a small grid has fewer than n. None
            if all exist.
    """

    tokens: jax.Array
    regions: jax.Array | None
    present: jax.Array | None


def _region_along(position, padded, window, shift):
    """Number of the band, 0 to 2, of a position on a shifted axis (released code: `compute_mask`)."""
    banded = (position >= padded - window).astype(np.int32) + (position >= padded - shift).astype(np.int32)
    return banded * (shift > 0)


class DensePlan:
    """Windows of grids in which every token is real."""

    def __init__(self, grid: Size3, window: Size3, shifted: bool):
        self.grid = grid
        self.window = tuple(min(g, w) for g, w in zip(grid, window, strict=True))
        self.shift = tuple(w // 2 if shifted and g > w else 0 for g, w in zip(grid, window, strict=True))
        self.padded = tuple(math.ceil(g / w) * w for g, w in zip(grid, self.window, strict=True))
        self.counts = tuple(p // w for p, w in zip(self.padded, self.window, strict=True))

    def cut(self, x: jax.Array) -> Windows:
        """x [b, t, h, w, c] -> windows."""
        x = jnp.pad(x, ((0, 0), *((0, p - g) for p, g in zip(self.padded, self.grid, strict=True)), (0, 0)))
        if any(self.shift):
            x = jnp.roll(x, [-s for s in self.shift], axis=(1, 2, 3))
        (nt, nh, nw), (wt, wh, ww) = self.counts, self.window
        x = x.reshape(x.shape[0], nt, wt, nh, wh, nw, ww, x.shape[-1])
        x = x.transpose(0, 1, 3, 5, 2, 4, 6, 7)
        tokens = x.reshape(-1, wt * wh * ww, x.shape[-1])
        return Windows(tokens, self._regions(), None)

    def join(self, tokens: jax.Array, batch: int) -> jax.Array:
        """tokens [g, n, c] -> [b, t, h, w, c], the inverse of `cut`."""
        (nt, nh, nw), (wt, wh, ww) = self.counts, self.window
        x = tokens.reshape(batch, nt, nh, nw, wt, wh, ww, tokens.shape[-1])
        x = x.transpose(0, 1, 4, 2, 5, 3, 6, 7).reshape(batch, *self.padded, tokens.shape[-1])
        if any(self.shift):
            x = jnp.roll(x, self.shift, axis=(1, 2, 3))
        t, h, w = self.grid
        return x[:, :t, :h, :w]

    def _regions(self) -> jax.Array | None:
        if not any(self.shift):
            return None
        bands = [
            _region_along(np.arange(p), p, w, s) for p, w, s in zip(self.padded, self.window, self.shift, strict=True)
        ]
        ids = bands[0][:, None, None] * 9 + bands[1][:, None] * 3 + bands[2]
        (nt, nh, nw), (wt, wh, ww) = self.counts, self.window
        ids = ids.reshape(nt, wt, nh, wh, nw, ww).transpose(0, 2, 4, 1, 3, 5)
        return jnp.asarray(ids.reshape(nt * nh * nw, wt * wh * ww), jnp.int32)


class GatherPlan:
    """Windows of grids that are padded to a common bucket.

    Args:
        grid: the bucket (t, h, w).
        window: size of a full window.
        shifted: whether the windows are shifted.
        sizes: int [b, 3], real (t, h, w) of each sample, at least 1.
    """

    def __init__(self, grid: Size3, window: Size3, shifted: bool, sizes: jax.Array):
        self.grid = grid
        full = jnp.asarray(window)
        self.counts = tuple(math.ceil(g / min(g, w)) for g, w in zip(grid, window, strict=True))
        self.slots = math.prod(min(g, w) for g, w in zip(grid, window, strict=True))
        self.sizes = sizes
        self.window = jnp.minimum(sizes, full)
        self.shift = jnp.where(sizes > full, full // 2, 0) * int(shifted)
        self.padded = -(-sizes // self.window) * self.window
        self.shifted = shifted

    def cut(self, x: jax.Array) -> Windows:
        """x [b, t, h, w, c] -> windows; values beyond `sizes` are never read."""
        index, region, present = jax.vmap(self._slot_sources)(self.sizes, self.window, self.shift, self.padded)
        flat = x.reshape(x.shape[0], -1, x.shape[-1])
        tokens = jax.vmap(lambda rows, i: rows.at[i].get(mode="fill", fill_value=0))(flat, index)
        shape = (-1, self.slots)
        return Windows(
            tokens.reshape(*shape, x.shape[-1]),
            region.reshape(shape) if self.shifted else None,
            present.reshape(shape),
        )

    def join(self, tokens: jax.Array, batch: int) -> jax.Array:
        """tokens [g, n, c] -> [b, t, h, w, c], zero beyond `sizes`."""
        index = jax.vmap(self._token_slots)(self.sizes, self.window, self.shift, self.padded)
        flat = tokens.reshape(batch, -1, tokens.shape[-1])
        x = jax.vmap(lambda rows, i: rows.at[i].get(mode="fill", fill_value=0))(flat, index)
        return x.reshape(batch, *self.grid, tokens.shape[-1])

    def _slot_sources(self, size, window, shift, padded):
        """Source token (out of range for padding), region and presence of a sample's slots, each [windows * slots]."""
        corner = np.stack(np.meshgrid(*map(np.arange, self.counts), indexing="ij"), -1).reshape(-1, 1, 3)
        slot = jnp.arange(self.slots)
        # Slots of a shrunk window are numbered densely, as the released model reads its relative bias.
        local = jnp.stack([slot // (window[1] * window[2]), slot // window[2] % window[1], slot % window[2]], -1)
        position = corner * window + local
        present = (slot < window[0] * window[1] * window[2]) & (position < padded).all(-1)
        bands = _region_along(position, padded, window, shift)
        source = (position + shift) % padded
        real = present & (source < size).all(-1)
        _, h, w = self.grid
        index = (source[..., 0] * h + source[..., 1]) * w + source[..., 2]
        index = jnp.where(real, index, math.prod(self.grid))
        region = bands[..., 0] * 9 + bands[..., 1] * 3 + bands[..., 2]
        return index.reshape(-1), region.reshape(-1), present.reshape(-1)

    def _token_slots(self, size, window, shift, padded):
        """Slot of each token of one sample (out of range for padding), [t * h * w]."""
        token = jnp.asarray(np.stack(np.meshgrid(*map(np.arange, self.grid), indexing="ij"), -1).reshape(-1, 3))
        position = (token - shift) % padded
        corner, local = position // window, position % window
        _, nh, nw = self.counts
        window_id = (corner[:, 0] * nh + corner[:, 1]) * nw + corner[:, 2]
        slot = (local[:, 0] * window[1] + local[:, 1]) * window[2] + local[:, 2]
        return jnp.where((token < size).all(-1), window_id * self.slots + slot, math.prod(self.counts) * self.slots)
