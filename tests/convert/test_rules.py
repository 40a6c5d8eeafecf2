"""The transforms against formulae of their own, and what a rule table refuses."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from stvg_jax.convert import rules
from stvg_jax.convert.formats import known_formats
from stvg_jax.convert.renaming import rename
from stvg_jax.convert.rules import Format, Rule

FORMATS = known_formats()


def numbered(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def of(*table, **more):
    return Format(name="test", describes="", signature=(), rules=table, **more)


def apply(table, **tensors):
    converted = rename({name.replace("__", "."): value for name, value in tensors.items()}, of(*table))
    assert not converted.problems
    return converted.parameters


def test_a_linear_layer_multiplies_from_the_right():
    weight, bias, x = numbered(3, 5), numbered(3), numbered(2, 5)
    out = apply(rules.linear(r"fc(\d+)", r"layers/\1"), fc7__weight=weight, fc7__bias=bias)
    assert list(out) == ["layers/7/kernel", "layers/7/bias"]
    np.testing.assert_array_equal(
        x @ out["layers/7/kernel"] + out["layers/7/bias"], np.einsum("oi,bi->bo", weight, x) + bias
    )


def test_a_1x1_convolution_is_a_linear_layer():
    weight = numbered(3, 5, 1, 1)
    kernel = apply(rules.matrix("proj", "proj"), proj__weight=weight)["proj/kernel"]
    np.testing.assert_array_equal(kernel, np.einsum("oihw->io", weight))


def test_joint_projections_are_cut_in_thirds():
    d = 4
    weight, bias = numbered(3 * d, d), numbered(3 * d)
    out_weight, out_bias = numbered(d, d), numbered(d)
    out = apply(
        rules.attention("attn", "a"),
        attn__in_proj_weight=weight,
        attn__in_proj_bias=bias,
        attn__out_proj__weight=out_weight,
        attn__out_proj__bias=out_bias,
    )
    for i, part in enumerate(("query", "key", "value")):
        kernel = np.array([[weight[i * d + o, n] for o in range(d)] for n in range(d)])
        np.testing.assert_array_equal(out[f"a/{part}/kernel"], kernel)
        np.testing.assert_array_equal(out[f"a/{part}/bias"], bias[i * d : (i + 1) * d])
    np.testing.assert_array_equal(out["a/out/kernel"], out_weight.swapaxes(0, 1))


def test_image_kernels_have_their_channels_last():
    weight = numbered(2, 3, 4, 5)
    kernel = apply(rules.conv("c", "c"), c__weight=weight)["c/kernel"]
    assert kernel.shape == (4, 5, 3, 2)
    assert all(kernel[h, w, i, o] == weight[o, i, h, w] for o, i, h, w in np.ndindex(weight.shape))


def test_patch_kernels_are_summed_over_frames_and_read_patches_row_by_row():
    weight, bias, patch = numbered(6, 3, 2, 4, 4), numbered(6), numbered(4, 4, 3)
    out = apply(rules.patches("p", "p"), p__weight=weight, p__bias=bias)
    expected = sum(np.einsum("oihw,hwi->o", weight[:, :, t], patch) for t in range(2))
    np.testing.assert_allclose(patch.reshape(-1) @ out["p/kernel"], expected, rtol=1e-6)


def test_norms_and_tables_are_copied():
    scale, bias, mean, var, table = (numbered(3) + i for i in range(5))
    frozen = apply(
        rules.frozen_norm("bn", "conv"), bn__weight=scale, bn__bias=bias, bn__running_mean=mean, bn__running_var=var
    )
    assert list(frozen) == ["conv/scale", "conv/bias", "conv/mean", "conv/var"]
    for found, given in zip(frozen.values(), (scale, bias, mean, var), strict=True):
        np.testing.assert_array_equal(found, given)
    np.testing.assert_array_equal(apply(rules.embedding("e", "e"), e__weight=table)["e/embedding"], table)
    np.testing.assert_array_equal(apply(rules.array("t", "x/t"), t=table)["x/t"], table)


def test_the_account_names_every_tensor():
    fmt = of(
        *rules.matrix("a", "a"),
        dropped=((r"old\..*", "no longer used"),),
        aliases=((r"again\.(.+)", r"a.\1"),),
    )
    weight = numbered(2, 3)
    seen = []
    converted = rename({"again.weight": weight, "old.x": weight, "a.weight": weight}, fmt, progress=seen.append)
    assert seen == ["again.weight", "old.x", "a.weight"]
    assert converted.taken == {"a.weight": ["a/kernel"]}
    assert converted.dropped == {"old.x": "no longer used"}
    assert converted.aliases == {"again.weight": "a.weight"}
    assert not converted.problems


def test_every_problem_is_listed():
    table = (*rules.linear("a", "a"), *rules.matrix("twin", "a"), *rules.attention("m", "m"))
    fmt = of(*table, aliases=((r"second\.(.+)", r"a.\1"), (r"lost\.(.+)", r"gone.\1")))
    tensors = {
        "a.weight": numbered(2, 2),
        "twin.weight": numbered(2, 2),
        "second.weight": numbered(2, 2) + 1,
        "lost.weight": numbered(2),
        "m.in_proj_weight": numbered(4, 4),
        "a.bias": np.arange(2),
        "what.is.this": numbered(3, 1),
    }
    assert rename(tensors, fmt).problems == [
        "! 'twin.weight' gives a/kernel, which another tensor gave already",
        "! 'second.weight' differs from 'a.weight'; they are two names of one parameter",
        "- missing 'gone.weight', whose second name is 'lost.weight'",
        "! 'm.in_proj_weight' has shape (4, 4), "
        "which m/query/kernel and m/key/kernel and m/value/kernel cannot be made of",
        "! 'a.bias' holds int64 values; a parameter is floating point",
        "+ unexpected 'what.is.this' (3, 1)",
    ]


@pytest.mark.parametrize("maker", [rules.matrix, rules.conv, rules.patches, rules.attention])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4), (5, 4, 3, 2, 1, 1)])
def test_no_shape_is_a_crash(maker, shape):
    (rule, *_) = maker("x", "x")
    name = rule.source.replace("\\", "")
    converted = rename({name: np.zeros(shape, np.float32)}, of(rule))
    assert converted.problems or set(converted.parameters) <= set(rule.targets)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn])
def test_every_floating_point_type_is_a_parameter(dtype):
    assert not rename({"t": np.zeros(2, dtype)}, of(*rules.array("t", "t"))).problems


@pytest.mark.parametrize("dtype", [np.int32, np.bool_, np.complex64, np.uint8])
def test_nothing_else_is(dtype):
    (problem,) = rename({"t": np.zeros(2, dtype)}, of(*rules.array("t", "t"))).problems
    assert np.dtype(dtype).name in problem


def test_two_rules_for_one_name_are_a_mistake_in_the_table():
    table = (*rules.array(r"a\.b", "x"), *rules.array(r"a\..", "y"))
    with pytest.raises(AssertionError, match="disjoint"):
        rename({"a.b": numbered(1)}, of(*table))


def test_lazy_tensors_are_read_only_if_needed():
    class Lazy:
        shape = (2, 3)
        dtype = np.float32
        reads = 0

        def read(self):
            self.reads += 1
            return numbered(2, 3)

    used, again, dropped, unknown = Lazy(), Lazy(), Lazy(), Lazy()
    fmt = of(*rules.matrix("a", "a"), dropped=(("old", "useless"),), aliases=((r"b\.(.+)", r"a.\1"),))
    tensors = {"a.weight": used, "b.weight": again, "old": dropped, "unknown": unknown}
    rename(tensors, fmt)
    assert (used.reads, again.reads, dropped.reads, unknown.reads) == (2, 1, 0, 0)
    # Neither of two names is read if the values are not as many as the parameter has.
    (problem,) = rename(tensors, fmt, shapes={"a/kernel": (3, 3)}).problems
    assert problem == "+ unexpected 'unknown' (2, 3)"
    assert (used.reads, again.reads) == (2, 1)


@pytest.mark.parametrize(
    ("rule", "path", "name"),
    [
        (rules.matrix(r"layers\.(\d+)\.fc", r"l/\1/fc")[0], "l/12/fc/kernel", "layers.12.fc.weight"),
        (rules.matrix(r"l\.(\d+)\.(q(?:a|b)|v)", r"l/\1/\2")[0], "l/3/qb/kernel", "l.3.qb.weight"),
        (rules.array(r"(?:roberta\.)?x\.(\d+)", r"r/\1")[0], "r/0", "x.0"),
        (rules.attention("m", "m")[0], "m/value/kernel", "m.in_proj_weight"),
        (rules.matrix(r"layers\.(\d+)", r"l/\1")[0], "l/twelve/kernel", None),
        (Rule("a", ("b",), lambda x: (x,)), "c", None),
    ],
)
def test_a_rule_knows_the_source_of_a_parameter(rule, path, name):
    assert rule.source_of(path) == name


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_formats_explain_what_they_drop(fmt):
    assert all(pattern and reason for pattern, reason in fmt.dropped)
    assert fmt.describes
    assert fmt.signature
