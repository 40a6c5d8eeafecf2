"""The loop over a split in this process, with a step that answers at once: what is written, reported and told."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.core.config import load_config_file
from stvg_jax.core.errors import InputError
from stvg_jax.core.progress import Silent
from stvg_jax.eval import runner
from stvg_jax.eval.config import EvalConfig
from stvg_jax.grounding.evaluation.records import read_records
from stvg_jax.grounding.evaluation.result_files import read_results
from stvg_jax.grounding.inputs import GroundingInputs
from stvg_jax.models.loading import load_model
from stvg_jax.parallel.mesh import make_mesh
from stvg_jax.runtime import memory
from tests.grounding.evaluation.conftest import SAMPLES


@pytest.fixture(scope="module")
def model(checkpoint):
    return load_model(checkpoint)


def read(annotations: Path, frames: Path, *overrides: str) -> GroundingInputs:
    overrides = (f"--config.data.annotations={annotations}", f"--config.data.frames={frames}", *overrides)
    return GroundingInputs(load_config_file(Path("ta_stvg_hcstvg1"), overrides=list(overrides)), "test")


@pytest.fixture(scope="module")
def inputs(hcstvg):
    return read(hcstvg / "data" / "hc-stvg", hcstvg / "frames" / "hc-stvg")


class Step:
    """Answers that each frame's target is in its middle, from the second to the last but one, and counts batches."""

    def __init__(self):
        self.batches = []

    def __call__(self, parameters, batch):
        self.batches.append({name: value.shape for name, value in batch.items()})
        valid = np.asarray(batch["frames_valid"])
        b, t = valid.shape
        at, last = np.arange(t), valid.sum(1)[:, None] - 1
        ends = np.stack([10.0 * (at == 1) * np.ones((b, 1)), 10.0 * (at == last - 1)], axis=-1)
        boxes = np.tile(np.array([0.5, 0.5, 0.25, 0.5]), (b, t, 1))
        rows = {"boxes_cxcywh": boxes, "start_end_logits": ends}
        rows |= {"actioness_logits": np.zeros((b, t)), "sampling_score": np.full((b, t), 0.25)}
        return {name: jnp.asarray(value, jnp.float32) for name, value in rows.items()}


class Bars(Silent):
    """Keeps what each bar begins with, and how far it comes."""

    def __init__(self):
        self.bars = []

    @contextlib.contextmanager
    def bar(self, *begins):
        steps = []
        yield steps.append
        self.bars.append((begins, sum(steps)))


def evaluate(model, inputs, out, step, progress=None, **options):
    settings = EvalConfig(**{"benchmark": "hcstvg1", "pictures": 1} | options)
    progress = progress or Silent()
    return runner.evaluate(model, inputs, settings, out, mesh=make_mesh(), progress=progress, step=step, examples=2)


@pytest.fixture(scope="module")
def done(model, inputs, tmp_path_factory):
    """The folder, the report and the step."""
    out, step = tmp_path_factory.mktemp("done") / "deep" / "out", Step()
    return out, evaluate(model, inputs, out, step), step


def test_answers_are_in_the_order_of_the_annotations_whatever_that_of_their_records(done, inputs):
    out, *_ = done
    records = read_records(out / "records.jsonl")
    assert [record.id for record in records] == [str(i) for i in range(SAMPLES)]
    for record, sample in zip(records, inputs.annotations.samples, strict=True):
        frames = record.prediction.frames
        passes = frames[0::2], frames[1::2]
        expected = min(p[1] for p in passes), max(p[-2] for p in passes) + 1
        assert record.prediction.interval == expected
        middle = [0.375 * sample.width, 0.25 * sample.height, 0.625 * sample.width, 0.75 * sample.height]
        np.testing.assert_allclose(record.prediction.boxes_xyxy, np.tile(middle, (len(frames), 1)), rtol=1e-6)
        np.testing.assert_array_equal(record.scores.frames, frames)
        np.testing.assert_allclose(record.scores.actioness, 0.5)
        np.testing.assert_allclose(record.scores.sampling, 0.25)
        assert sorted(record.scores.passes.tolist()) == [0] * len(passes[0]) + [1] * len(passes[1])


def test_files_agree(done, inputs):
    out, report, _ = done
    measures = {name.split("/")[1]: value for name, value in report.measures.items() if "/" in name}
    written = json.loads((out / "metrics.json").read_text())
    assert {name: written[name] for name in ("model", "dataset", "split", "dtype")} == {
        "model": "ta_stvg",
        "dataset": "hcstvg",
        "split": "test",
        "dtype": "float32",
    }
    assert written["results"] == {"declarative": {"samples": SAMPLES} | measures}
    assert report.overall == report.measures["m_vIoU"] == measures["m_vIoU"]
    results = read_results(out / "predictions.json")
    results.problems.raise_all("wrong")
    assert list(results.predictions) == [str(i) for i in range(SAMPLES)]
    assert results.kinds == {}
    assert "HC-STVG v1, test" in report.text and "stvg_jax ta_stvg" in report.text and "Boxes alone" in report.text
    assert f"Declarative: {SAMPLES} of the benchmark's 1,160 samples." in report.text
    table = (out / "table.md").read_text()
    assert "| **stvg_jax ta_stvg** |" in table and "Boxes alone" in table


def test_the_page_and_the_examples_show_stored_frames(done, inputs):
    out, *_ = done
    page = (out / "index.html").read_text()
    assert "<h1>ta_stvg on hcstvg, test</h1>" in page
    assert "Resolution 64, float32. untrained: its answers are arbitrary" in page
    # One best, one median and one worst case, with six frames each.
    assert page.count("<article") == 3
    assert page.count("data:image/jpeg") == 18
    assert sorted(path.name for path in (out / "examples").iterdir()) == ["01.png", "02.png"]


def test_each_sample_is_two_rows_of_one_batch(done):
    *_, step = done
    assert len(step.batches) == SAMPLES
    assert {shapes["frames_valid"][0] for shapes in step.batches} == {2}
    assert not {"sample", "pass", "frame_ids"} & set(step.batches[0])


def test_what_is_known_is_not_asked_again(done, model, inputs):
    out, report, _ = done
    again = Step()
    assert evaluate(model, inputs, out, again) == report
    assert again.batches == []


def test_what_is_missing_is_asked(done, model, inputs, tmp_path):
    out, report, _ = done
    records = (out / "records" / "part-00000.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "part-00000.jsonl").write_text("".join(records[:2]))
    (tmp_path / "records" / "identity.json").write_text((out / "records" / "identity.json").read_text())
    step, progress = Step(), Bars()
    assert evaluate(model, inputs, tmp_path, step, progress) == report
    assert len(step.batches) == SAMPLES - 2
    assert progress.bars == [(("evaluating", SAMPLES, "sample", 2), SAMPLES - 2)]


def test_the_identity_tells_what_decides_an_answer(done, model, inputs):
    out, *_ = done
    identity = json.loads((out / "records" / "identity.json").read_text())["identity"]
    assert set(identity) == {"parameters", "model", "clip", "samples", "split", "frames"}
    assert identity["split"] == "test"
    assert identity["clip"] == dataclasses.asdict(model.clip)
    reversed_parameters = dict(reversed(model.description.parameters.items()))
    description = dataclasses.replace(model.description, parameters=reversed_parameters)
    same = dataclasses.replace(model, description=description)
    assert evaluate(same, inputs, out, Step()) == done[1]
    assert re.fullmatch("[0-9a-f]{64}", identity["samples"])
    with pytest.raises(InputError, match="split is"):
        evaluate(model, inputs, out, Step(), split="val")
    fewer = dataclasses.replace(inputs.annotations, samples=inputs.annotations.samples[1:])
    with pytest.raises(InputError, match="samples is"):
        evaluate(model, _with(inputs, annotations=fewer), out, Step())


def test_an_evaluation_of_a_version_with_fewer_settings_goes_on(done, model, inputs, tmp_path):
    out, report, _ = done
    (tmp_path / "records").mkdir()
    for name in ("part-00000.jsonl", "identity.json"):
        (tmp_path / "records" / name).write_bytes((out / "records" / name).read_bytes())
    path = tmp_path / "records" / "identity.json"
    content = json.loads(path.read_text())
    del content["identity"]["model"][1]["actioness_threshold"]
    path.write_text(json.dumps(content))
    assert evaluate(model, inputs, tmp_path, Step()) == report
    content["identity"]["model"][1]["queries"] = "zero"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match='model.1.queries is "zero" there and "both" here'):
        evaluate(model, inputs, tmp_path, Step())


def _with(inputs, **changes):
    """A copy of the inputs with other attributes."""
    other = object.__new__(type(inputs))
    other.__dict__.update(vars(inputs) | changes)
    return other


def test_samples_without_frames_are_refused_or_counted(hcstvg, tmp_path):
    frames = hcstvg / "frames" / "hc-stvg"
    entries = json.loads((hcstvg / "data" / "hc-stvg" / "annos" / "test.json").read_text())
    (tmp_path / "annos").mkdir()
    (tmp_path / "annos" / "test.json").write_text(json.dumps(entries | {"lost.mp4": entries["0_test.mp4"]}))
    with pytest.raises(InputError, match="do not belong together"):
        read(tmp_path, frames)
    rest = read(tmp_path, frames, "--config.data.on_problem=exclude")
    assert (len(rest.samples), rest.unusable) == (SAMPLES, 1)


def test_samples_that_are_left_out_are_told(model, inputs, tmp_path):
    others = dataclasses.replace(inputs.annotations, excluded=["7", "8"])
    changed = _with(inputs, annotations=others, unusable=1234)
    text = evaluate(model, changed, tmp_path, Step(), pictures=0).text
    assert "<article" not in (tmp_path / "index.html").read_text()
    assert "Entries of the annotations that are left out: 2." in text
    assert "Samples left out because their video is missing or is another: 1,234." in text


SUBJECTS = ("the man in the red coat", "the man", "the boy", "the tall man")


class Reader(Step):
    """Boxes that grow with the text."""

    def __call__(self, parameters, batch):
        rows = super().__call__(parameters, batch)
        tokens = np.asarray(batch["text_valid"]).sum(1)
        return rows | {"boxes_cxcywh": rows["boxes_cxcywh"] * (tokens / 50)[:, None, None]}


@pytest.fixture(scope="module")
def asked(inputs):
    """All subjects but the second are those that the sentences name."""
    pairs = zip(inputs.samples, SUBJECTS, strict=True)
    samples = [dataclasses.replace(sample, subject=subject) for sample, subject in pairs]
    return _with(inputs, annotations=dataclasses.replace(inputs.annotations, samples=samples))


@pytest.fixture(scope="module")
def without_subjects(model, asked, tmp_path_factory):
    """The folder, the report and the step of an evaluation beside that with the annotated subjects."""
    out, step = tmp_path_factory.mktemp("without"), Reader()
    return out, evaluate(model, asked, out, step, subject="none"), step


def test_the_effect_of_subjects_is_told_beside_the_normal_result(model, asked, without_subjects, tmp_path):
    out, report, _ = without_subjects
    normal = evaluate(model, asked, tmp_path, Reader())
    assert report.text.startswith(normal.text) and report.overall == normal.overall
    effect = [line.split() for line in report.text.removeprefix(normal.text).strip().splitlines()]
    assert " ".join(effect[0]) == "Effect of the subject, which differs in 4 of 4 samples"
    assert effect[1] == ["m_tIoU", "m_vIoU", "vIoU@0.3", "vIoU@0.5"]
    before, after = (report.measures[f"{name}declarative/m_vIoU"] for name in ("", "subject_none/"))
    assert before != after and before == normal.measures["declarative/m_vIoU"]
    column = [row[3 if row[0] != "difference" else 2] for row in effect[3:]]
    assert column == [f"{100 * before:.1f}", f"{100 * after:.1f}", f"{100 * (after - before):+.1f}"]
    assert "| **no subject** |" in (out / "subject_none" / "effect.md").read_text()


def test_results_say_what_subjects_the_model_read(without_subjects):
    out, report, _ = without_subjects
    for folder, subject, name in ((out, "annotated", "ta_stvg"), (out / "subject_none", "none", "ta_stvg, no subject")):
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["subject"] == subject
        assert f"| **stvg_jax {name}** |" in (folder / "table.md").read_text()
        assert f"<h1>{name} on hcstvg, test</h1>" in (folder / "index.html").read_text()
    assert metrics["results"]["declarative"]["m_vIoU"] == report.measures["subject_none/declarative/m_vIoU"]
    assert {record.subject for record in read_records(out / "subject_none" / "records.jsonl")} == {""}
    identity = json.loads((out / "subject_none" / "records" / "identity.json").read_text())["identity"]
    assert identity["subject"] == "none"


def test_both_evaluations_continue(model, asked, without_subjects):
    out, report, first = without_subjects
    assert len(first.batches) == 2 * SAMPLES
    again = Reader()
    assert evaluate(model, asked, out, again, subject="none") == report
    assert evaluate(model, asked, out, again).measures.items() <= report.measures.items()
    assert again.batches == []
    with pytest.raises(InputError, match='subject is "none" there and None here'):
        evaluate(model, asked, out / "subject_none", again)


def test_samples_with_the_same_subject_are_not_asked_again(model, asked, tmp_path):
    step = Reader()
    report = evaluate(model, asked, tmp_path, step, subject="found")
    assert len(step.batches) == SAMPLES + 1
    found = read_records(tmp_path / "subject_found" / "records.jsonl")
    assert [record.subject for record in found] == [SUBJECTS[0], "a woman with a white hat", *SUBJECTS[2:]]
    assert [record.id for record in read_records(tmp_path / "subject_found" / "records")] == ["1"]
    assert "which differs in 1 of 4 samples" in report.text


def test_nothing_is_evaluated_if_a_sample_has_no_wrong_subject(model, inputs, tmp_path):
    with pytest.raises(InputError, match="sample '0' has the subject 'the man', and no other sample"):
        evaluate(model, inputs, tmp_path / "out", Step(), subject="wrong")
    assert not (tmp_path / "out").exists()


def test_hosts_that_do_not_share_a_folder_are_told(model, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(runner, "meet", lambda what: None)
    with pytest.raises(InputError, match="host 0 sees the records of 1 of 2 hosts in .*records; give --out a folder"):
        evaluate(model, inputs, tmp_path, Step())


def test_the_first_of_two_hosts_does_its_half_and_reports_both(done, model, inputs, tmp_path, monkeypatch):
    out, report, _ = done
    folder, points = tmp_path / "records", []

    def meet(point):
        """Until all hosts have come to this point, the other one has done this."""
        points.append((point, sorted(path.name for path in folder.glob("*.jsonl"))))
        part = folder / "part-00001.jsonl"
        if point == "records open":
            part.touch()
        elif point == "evaluated":
            part.write_bytes((out / "records" / "part-00000.jsonl").read_bytes())

    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(runner, "meet", meet)
    monkeypatch.setattr(runner, "to_mesh", lambda batch, mesh: batch)
    step, progress = Step(), Bars()
    assert evaluate(model, inputs, tmp_path, step, progress, samples_per_device=2) == report
    assert len(step.batches) == SAMPLES / 2
    assert progress.bars == [(("evaluating", SAMPLES, "sample", 0), SAMPLES)]
    first, second = "part-00000.jsonl", "part-00001.jsonl"
    assert points == [("records read", []), ("records open", [first]), ("evaluated", [first, second])]


def test_what_does_not_fit_is_not_computed(model, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "device_memory", lambda: 1000)
    step = Step()
    # Each of three samples is two clips.
    message = r"samples_per_device=3: 6 x \d+ frames of \d+x64 take at least .* GB on a device of 0\.0 GB"
    with pytest.raises(InputError, match=message):
        evaluate(model, inputs, tmp_path, step, samples_per_device=3)
    assert not step.batches
