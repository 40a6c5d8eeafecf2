"""Weights found in whatever training tools wrap them, and chosen among several."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_jax.convert.formats import known_formats
from stvg_jax.convert.names import bare
from stvg_jax.convert.readers.tensors import BytesStorage, Opaque, TensorRef
from stvg_jax.convert.weights import TOP, choose_weights
from stvg_jax.core.errors import InputError

FORMATS = known_formats()

NAMES = ("patch_embed.proj.weight", "layers.0.blocks.0.attn.qkv.weight", "layers.0.blocks.0.norm1.weight")
BACKBONE = tuple(f"backbone.{name}" for name in NAMES)
TEXT = ("embeddings.LayerNorm.weight", "encoder.layer.0.attention.self.query.weight")


def ref(value=1.0, shape=(1,)):
    return TensorRef(BytesStorage(np.full(shape, value, np.float32).tobytes()), np.float32, shape)


def state(value=1.0, *, names=BACKBONE, wrap="{}"):
    """A state dict whose tensors all hold `value`; `wrap` makes their names."""
    return {wrap.format(name): ref(value) for name in names}


def chosen(tree, **options):
    """(path, prefix, parts taken out, the one value of the tensors, is_average)."""
    weights = choose_weights(tree, "file.pth", **options)
    assert sorted(weights.names.tensors) in (sorted(BACKBONE), sorted(TEXT))
    (value,) = {float(tensor.read()[0]) for tensor in weights.names.tensors.values()}
    return weights.path, weights.names.prefix, weights.names.removed, value, weights.is_average


def refused(tree, **options):
    with pytest.raises(InputError) as caught:
        choose_weights(tree, "file.pth", **options)
    message = str(caught.value)
    assert message.startswith("file.pth") and "\n" not in message and len(message) < 3_000
    return message


@pytest.mark.parametrize(
    ("wrap", "prefix", "parts"),
    [
        ("{}", "", []),
        ("module.{}", "", ["module"]),
        ("_orig_mod.{}", "", ["_orig_mod"]),
        ("module._orig_mod.{}", "", ["_orig_mod", "module"]),
        ("_orig_mod.module.module.{}", "", ["_orig_mod", "module"]),
        ("_fsdp_wrapped_module.{}", "", ["_fsdp_wrapped_module"]),
        ("model.{}", "model.", []),
        ("model.model.{}", "model.model.", []),
        ("net.{}", "net.", []),
        ("student.module.encoder._orig_mod.{}", "student.encoder.", ["_orig_mod", "module"]),
        ("_forward_module.model._orig_mod.{}", "model.", ["_forward_module", "_orig_mod"]),
        ("a.b.c.d.e.f.g.h.{}", "a.b.c.d.e.f.g.h.", []),
    ],
)
def test_wrappings_of_all_names(wrap, prefix, parts):
    path = ".".join(filter(None, ("state_dict", prefix.removesuffix("."))))
    counts = dict.fromkeys(parts, len(BACKBONE))
    assert chosen({"state_dict": state(wrap=wrap)}) == (path, prefix, counts, 1.0, False)


def test_wrappings_inside_names_and_of_some_names():
    names = (
        "backbone._orig_mod.patch_embed.proj.weight",
        "backbone.layers.0.module.blocks.0._checkpoint_wrapped_module.attn.qkv.weight",
        "backbone.layers.0.blocks.0.norm1.weight",
    )
    counts = {"_checkpoint_wrapped_module": 1, "_orig_mod": 1, "module": 1}
    assert chosen(state(names=names)) == ("", "", counts, 1.0, False)
    assert bare("module.module") == "module"


def test_two_names_of_one_tensor_are_refused():
    message = refused({"model": state() | state(2.0, wrap="module.{}")})
    assert "'backbone.patch_embed.proj.weight' and 'module.backbone.patch_embed.proj.weight'" in message
    assert "--node" in message


@pytest.mark.parametrize(
    "keys",
    ["model", "state_dict", "model_state_dict", "net", "module", "network", "weights", "params", "", "a.b.c", "x/y"],
)
def test_any_dict_is_found(keys):
    tree = state()
    for key in reversed(keys.split(".")) if keys else ():
        tree = {key: tree, "epoch": 3}
    assert chosen(tree)[0] == keys
    assert chosen(tree, node=keys or ".")[0] == keys


def test_dicts_in_lists():
    assert chosen([state(), {"step": 3}])[0] == "0"
    assert chosen({"models": ({"lr": 1}, state())}, node="models.1")[0] == "models.1"


def test_modules_as_dicts_in_dicts():
    nested = {"backbone": {"layers": {"0": {}}}}
    for name in BACKBONE:
        *keys, last = name.split(".")
        node = nested
        for key in keys:
            node = node.setdefault(key, {})
        node[last] = ref()
    assert chosen({"model": nested, "epoch": 1})[0] == "model"


def test_a_module_that_was_saved_as_an_object():
    def module(parameters, modules):
        out = Opaque("models.Net", ())
        out.state = {"training": True, "_parameters": parameters, "_buffers": {"bias": None}, "_modules": modules}
        return out

    tree = module({}, {})
    for name in BACKBONE:
        *keys, last = name.split(".")
        node = tree
        for key in keys:
            node = node.state["_modules"].setdefault(key, module({}, {}))
        node.state["_parameters"][last] = ref()
    assert chosen({"model": tree})[0] == "model"
    assert chosen(tree)[0] == ""


@pytest.mark.parametrize(
    "keys",
    [
        "model_ema", "ema", "state_dict_ema", "ema_state_dict", "ema.module", "ema_model", "modelEMA", "ModelEma",
        "swa_model", "averaged_model", "avg_model", "callbacks.EMA.state_dict", "callbacks.EMACallback{'d': 0.9}.sd",
        "ema.shadow", "moving_average",
    ],
)  # fmt: skip
@pytest.mark.parametrize("plain", ["model", "state_dict", "net", "module"])
def test_the_moving_average_is_taken(keys, plain):
    average = state(2.0, wrap="module.{}")
    for key in reversed(keys.split(".") if "0.9" not in keys else ["callbacks", "EMACallback{'d': 0.9}", "sd"]):
        average = {key: average}
    tree = {plain: state(0.0), **average}
    assert chosen(tree)[3:] == (2.0, True)
    assert chosen(tree, weights="ema")[3:] == (2.0, True)
    assert chosen(tree, weights="model")[3:] == (0.0, False)
    assert chosen(tree, node=plain)[3:] == (0.0, False)
    assert chosen(tree, node=keys)[3:] == (2.0, True)
    assert f"no moving average at '{plain}'; there are: '{plain}'" in refused(tree, node=plain, weights="ema")


@pytest.mark.parametrize("key", ["schema", "cinema", "remain", "emacs", "swap", "averting"])
def test_words_that_only_look_like_an_average(key):
    assert chosen({key: state()})[4] is False


def test_averages_beside_in_one_dict():
    both = state(0.0, wrap="model.{}") | state(2.0, wrap="ema_model.module.{}") | {"ema_model.n_averaged": ref()}
    assert chosen({"state_dict": both})[::3] == ("state_dict.ema_model", 2.0)
    assert chosen({"state_dict": both}, weights="model")[::3] == ("state_dict.model", 0.0)
    assert chosen({"state_dict": both}, node="state_dict.model")[::3] == ("state_dict.model", 0.0)
    # The model itself without a prefix.
    bare_too = state(0.0) | state(2.0, wrap="ema_model.{}")
    assert chosen(bare_too)[::3] == ("ema_model", 2.0)
    assert chosen(bare_too, weights="model")[::3] == ("", 0.0)


@pytest.mark.parametrize(
    "ema",
    [
        state(0.0, wrap="online_model.{}") | state(2.0, wrap="ema_model.{}"),
        {"shadow": state(2.0), "backup": state(0.0)},
        {"shadow_params": state(2.0), "collected_params": state(0.0)},
    ],
)
def test_plain_weights_within_an_average(ema):
    assert chosen({"ema": ema})[3:] == (2.0, True)
    assert chosen({"ema": ema}, weights="model")[3:] == (0.0, False)


def test_trainers_that_exchange_the_average_and_the_plain_weights():
    mmengine = {"meta": {"mmengine_version": "0.10"}, "state_dict": state(2.0), "ema_state_dict": state(0.0)}
    assert chosen(mmengine)[3:] == (2.0, True)
    assert chosen(mmengine, weights="model")[3:] == (0.0, False)
    lightning = {"state_dict": state(2.0), "current_model_state": state(0.0), "averaging_state": {"n_averaged": ref()}}
    assert chosen(lightning)[::3] == ("state_dict", 2.0)


@pytest.mark.parametrize(
    ("tree", "named"),
    [
        ({"model": state(), "state_dict": state(2.0)}, ["'model'", "'state_dict'"]),
        ({"student": state(), "teacher": state(2.0)}, ["'student'", "'teacher'"]),
        ({"sd": state(wrap="student.{}") | state(2.0, wrap="teacher.{}")}, ["'sd.student'", "'sd.teacher'"]),
        ({"model": state(), "ema": state(2.0), "swa": state(3.0)}, ["'ema'", "'swa'"]),
        ({"video": state(), "text": state(names=TEXT)}, ["'video'", "'text'"]),
        (state() | {"best": state(2.0)}, ["(top level)", "'best'"]),
    ],
)
def test_several_candidates_are_refused_by_name(tree, named):
    message = refused(tree)
    assert all(name in message for name in named)
    assert "choose one with --node" in message
    for name in named:
        path = "." if name == TOP else name.strip("'")
        assert chosen(tree, node=path)[0] == path.removeprefix(".")


def test_one_dict_under_two_keys_is_one_candidate():
    weights = state()
    assert chosen({"model": weights, "state_dict": weights})[0] == "model"
    assert chosen({"model": weights, "state_dict": dict(weights)})[3] == 1.0
    # The shortest path counts, and each path can be given.
    tree = {"hyper.parameters": {"initial": weights}, "model": weights}
    assert chosen(tree)[0] == "model"
    assert chosen(tree, node="hyper.parameters.initial")[0] == "hyper.parameters.initial"


def test_a_dot_at_the_end_of_a_node_changes_nothing():
    both = {"state_dict": state(wrap="model.{}") | state(2.0, wrap="teacher.{}")}
    assert chosen(both, node="state_dict.model.") == chosen(both, node="state_dict.model")
    assert chosen(both, node="state_dict.teacher.")[::3] == ("state_dict.teacher", 2.0)
    assert chosen({"state_dict": state()}, node="state_dict.")[0] == "state_dict"
    # A key may end in a dot itself.
    assert chosen({"a": state(), "a.": state(2.0)}, node="a.")[::3] == ("a.", 2.0)
    assert "no tensors at 'b'" in refused({"a": state()}, node="b.")


def test_other_nodes():
    tree = {"state_dict": state(wrap="model.{}"), "meta": {"mean": ref()}}
    message = refused(tree, node="model")
    assert message.endswith("has no tensors at 'model'; there are weights at: 'state_dict.model'")
    message = refused({"meta": {"mean": ref()}}, node="model")
    assert message.endswith("has no tensors at 'model'; there are some at: (top level), 'meta'")
    assert "no known format: it holds 'mean'" in refused(tree, node="meta")
    many = {f"node{i}": state() for i in range(500)}
    assert "and 480 more" in refused(many, node="x")
    assert "and 480 more" in refused(many)
    assert "more than 500 sets of weights" in refused(many | {"one more": state()})
    prefixes = {name: tensor for i in range(31) for name, tensor in state(wrap=f"net{i}.{{}}").items()}
    assert "'model', holds more than 30 models" in refused({"model": prefixes})
    assert "'\\x1b[31m\\nOK'" in refused({"model": state()}, node="\x1b[31m\nOK")


def test_tensors_of_the_trainer_stand_beside():
    beside = {
        name: ref()
        for name in ("criterion.empty_weight", "val_metrics.total", "loss_fn.temperature", "train_acc.correct", "step")
    }
    weights = choose_weights({"state_dict": state(wrap="model.{}") | beside}, "file.pth")
    assert sorted(weights.names.beside) == sorted(beside)
    assert set(weights.names.beside.values()) == {"of the training (a loss, a metric, a counter), not of the model"}
    assert weights.names.unexpected == []
    weights = choose_weights({"state_dict": state(wrap="module.{}") | {"n_averaged": ref()}}, "file.pth")
    assert (list(weights.names.beside), weights.names.unexpected) == (["n_averaged"], [])


def test_other_tensors_beside_are_not_dropped():
    beside = {"adapter.weight": ref(), "backbone.norm.weight": ref(), "adapter.decay": ref(shape=(2,))}
    tree = {"state_dict": state(wrap="model.{}") | beside}
    names = choose_weights(tree, "file.pth").names
    assert names.unexpected == list(beside)
    # Asked for by name, the rest of the dict does not matter.
    assert choose_weights(tree, "file.pth", node="state_dict.model").names.unexpected == []
    # The smaller half of a dict is a part of another model.
    tree["state_dict"] |= {f"head.{i}": ref() for i in range(9)}
    assert "has no known format" in refused(tree)
    assert "is not of format video_swin" in refused(tree, format="video_swin")
    assert chosen(tree, node="state_dict.model")[0] == "state_dict.model"


@pytest.mark.parametrize("name", ["model_ema.{}", "ema_{}"])
def test_copies_under_names_without_dots(name):
    dotless = {name.format(n.replace(".", "_" if name == "ema_{}" else "")): ref(2.0) for n in BACKBONE}
    tree = {"state_dict": state() | dotless}
    assert "either may be the moving average" in refused(tree)
    assert chosen(tree, weights="model")[3] == 1.0
    names = choose_weights(tree, "file.pth", node="state_dict").names
    assert set(names.beside.values()) == {"a copy of another tensor under a name without dots"}


MANY = [ref() for _ in range(30)]
BY_NUMBER = dict(enumerate(MANY))


def in_object(**state):
    out = Opaque("trainer.Average", ())
    out.state = state
    return out


def in_sequence(values):
    out = Opaque("collections.deque", ())
    out.sequence = values
    return out


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"ema": {"decay": 0.99, "shadow_params": MANY}}, "ema.shadow_params"),
        ({"ema": {"shadow_params": tuple(MANY), "collected_params": None}}, "ema.shadow_params"),
        ({"ema": {"shadow_params": [None, *MANY]}}, "ema.shadow_params"),
        ({"ema_params": (ref(),)}, "ema_params"),
        ({"averaged_model": MANY}, "averaged_model"),
        ({"averaged_model": BY_NUMBER}, "averaged_model"),
        ({"swa": {str(i): tensor for i, tensor in BY_NUMBER.items()}}, "swa"),
        ({"ema": in_object(shadow_params=MANY, decay=0.9)}, "ema.shadow_params"),
        ({"ema": in_sequence(MANY)}, "ema"),
        # NeMo, and other optimizers that keep an average.
        ({"optimizer_states": [{"opt": {"state": {}}, "ema": tuple(MANY), "decay": 0.9}]}, "optimizer_states.0.ema"),
        ({"optimizer_states": [{"state": {}}, {"ema": MANY}]}, "optimizer_states.1.ema"),
        ({"optimizer": {"ema": MANY}}, "optimizer.ema"),
        ({"optimizer": {"averaged_model": BY_NUMBER}}, "optimizer.averaged_model"),
        ({"optimizer": in_object(ema_params=MANY)}, "optimizer.ema_params"),
        ({"optim": {"optimizer": {"ema": {"shadow": MANY}}}}, "optim.optimizer.ema.shadow"),
        ({"optimizer": {"swa_state": {0: {"swa_buffer": ref()}}}}, "optimizer.swa_state"),
        ({"optimizer": {"state": {0: {"exp_avg": ref(), "ema": ref()}}}}, "optimizer.state.*.ema"),
    ],
)
def test_an_average_without_names_is_not_passed_over(tree, path):
    tree = {"model": state()} | tree
    message = refused(tree)
    assert f"a moving average without names, tensors in a list or by number at '{path}'" in message
    assert message.endswith("take the plain weights with --weights model")
    assert refused(tree, weights="ema") == message
    assert chosen(tree, weights="model")[0] == "model"
    assert chosen(tree, node="model")[0] == "model"
    # One with names beside it is taken.
    assert chosen(tree | {"model_ema": state(2.0)})[3] == 2.0


def test_an_average_of_unknown_names_is_not_passed_over():
    tree = {"model": state(), "model_ema": {name.replace(".", ""): ref(2.0) for name in BACKBONE}}
    message = refused(tree)
    assert "a moving average at 'model_ema' whose tensors have other names" in message
    assert chosen(tree, weights="model")[0] == "model"
    assert chosen(tree, node="model")[0] == "model"
    # Averages of other things: meters, losses.
    meters = {"loss_avg": {"value": ref()}, "avg": ref(), "losses": [ref()], "avg_loss": {0: ref(shape=())}}
    assert chosen({"model": state()} | meters)[0] == "model"


def test_an_average_with_names_in_an_optimizer_is_taken():
    for tree in ({"optimizer": {"ema": state(2.0)}}, {"optimizer_states": [{"ema_state_dict": state(2.0)}]}):
        assert chosen({"model": state()} | tree)[3:] == (2.0, True)
        assert chosen({"model": state()} | tree, weights="model")[3:] == (1.0, False)
    assert chosen({"model": state(), "optimizer": {"ema": state(2.0)}}, node="optimizer.ema")[3] == 2.0


@pytest.mark.parametrize("key", ["exp_avg", "exp_avg_sq", "max_exp_avg_sq", "square_avg", "grad_avg", "ema_grad", "ax"])
def test_moments_of_an_optimizer_are_no_average_of_weights(key):
    per_parameter = {name: {"step": ref(), key: ref()} for name in range(3)}
    for optimiser in ({"state": per_parameter}, {key: MANY}, {"state": {key: state(2.0)}}):
        assert chosen({"model": state(), "optimizer": optimiser})[0] == "model"


def test_the_state_of_an_optimizer_is_no_candidate():
    moments = {name: {"exp_avg": ref(), "step": ref()} for name in BACKBONE}
    tree = {"model": state(), "optimizer": {"state": moments}, "optim_state": state(2.0), "lr_schedulers": [ref()]}
    assert chosen(tree)[0] == "model"


def test_a_model_that_contains_another_is_not_mistaken_for_it():
    released = ("s_spatial_clas.head.bias", "text_encoder.body.embeddings.LayerNorm.weight")
    text = tuple(f"text_encoder.body.{name}" for name in TEXT)
    weights = choose_weights({"model": state(names=(*released, *text))}, "file.pth")
    assert (weights.path, weights.names.format) == ("model", FORMATS["ta_stvg"])


def test_hostile_names_in_messages_and_labels():
    weights = choose_weights({"\x1b[31m\nOK": state()}, "file.pth")
    assert weights.label == "'\\x1b[31m\\nOK'"
    assert choose_weights({"m" * 150: state()}, "file.pth").label == repr("m" * 120) + "..."
    assert "holds no tensors" in refused({"m" * 201: state()})
    assert "'\\x1b[2Jw'" in refused({"\x1b[2Jw": ref()})


def test_no_tensors_at_all():
    for tree in ({}, {"epoch": 3}, [ref()], 3, None, ref()):
        assert refused(tree) == "file.pth holds no tensors with names"
