"""The page in a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stvg_jax.core.registry import FAMILIES
from stvg_jax.data_pipeline.shapes.example import make_example
from stvg_jax.data_pipeline.shapes.video import write_enlarged
from stvg_jax.retrieval.inference.encoder import VideoTextEncoder
from stvg_jax.retrieval.inference.index import build_index
from stvg_jax.retrieval.inference.windows import WindowConfig
from tests.retrieval import toy

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
# Bounds of the pixels in the colour of the first answer, and whether the canvas covers the video.
_LOOK = """() => {
  const canvas = document.getElementById("boxes"), video = document.getElementById("video");
  const [a, b] = [canvas.getBoundingClientRect(), video.getBoundingClientRect()];
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const covers = a.width === b.width && a.height === b.height;
  const box = { x1: canvas.width, y1: canvas.height, x2: 0, y2: 0, covers };
  for (let y = 0; y < canvas.height; y++) for (let x = 0; x < canvas.width; x++) {
    const at = 4 * (y * canvas.width + x);
    if (data[at] === 255 && data[at + 1] === 45 && data[at + 2] === 85 && data[at + 3] === 255) {
      box.x1 = Math.min(box.x1, x); box.x2 = Math.max(box.x2, x);
      box.y1 = Math.min(box.y1, y); box.y2 = Math.max(box.y2, y);
    }
  }
  return { ...box, width: canvas.width, height: canvas.height, time: video.currentTime };
}"""


@contextlib.contextmanager
def serving(folder: Path, *arguments: str, module: str = "stvg_jax.cli"):
    """Yields the address of a server of the built-in model."""
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", module, "serve", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | {"STVG_JAX_CACHE": str(folder / "cache"), "TMPDIR": str(folder)},
        )
        try:
            line = server.stdout.readline()
            yield re.search(r"http://\S+", line)[0]
        finally:
            server.terminate()
            server.wait(30)
    assert [path.name for path in folder.iterdir() if path.name.startswith("stvg_jax-")] == []


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("serve")) as address:
        yield address


@pytest.fixture(scope="module")
def address_with_index(tmp_path_factory):
    """Address of a server with an index of two videos of shapes, in windows of two seconds."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "videos").mkdir()
    for seed in (7, 9):
        example = make_example(seed, split="demo")
        write_enlarged(folder / "videos" / f"scene {seed}.mp4", example.frames(), example.fps, 3)
    checkpoint = toy.write_checkpoint(folder / "checkpoint")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, toy.NAME, "tests.retrieval.toy")
        encoder = VideoTextEncoder.load(checkpoint)
        windows = WindowConfig(2.0, 2.0)
        build_index([folder / "videos"], encoder, folder / "index", checkpoint=str(checkpoint), windows=windows)
    with serving(folder, "--index", str(folder / "index"), module="tests.retrieval.toy") as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, request):
    """Opens the page in a window of a size; at the end there must be no message in the console."""
    contexts, messages = [], []

    def opened(size: dict[str, int], path: str = "/", server: str = "address", **options):
        context = browser.new_context(viewport=size, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(request.getfixturevalue(server) + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert messages == []


def wait_for_answers(page, count: int) -> None:
    page.locator(".timeline").nth(count - 1).wait_for()


def check_box(page, tube) -> None:
    """The first answer's box is drawn where the tube has it at the time that the video shows."""
    page.evaluate("document.getElementById('video').pause()")
    page.evaluate(f"document.getElementById('video').currentTime = {(tube['start_sec'] + tube['end_sec']) / 2}")
    page.wait_for_timeout(500)
    seen = page.evaluate(_LOOK)
    assert seen["covers"]
    frame = int(seen["time"] * tube["fps"] + 1e-3)
    box = next(entry["box"] for entry in tube["boxes"] if entry["frame"] == frame)
    across, down = seen["width"] / tube["width"], seen["height"] / tube["height"]
    expected = [box[0] * across, box[1] * down, box[2] * across, box[3] * down]
    assert [seen[name] for name in ("x1", "y1", "x2", "y2")] == pytest.approx(expected, abs=5)


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_an_example_is_answered_and_its_box_is_drawn(open_page, size, tmp_path_factory):
    page = open_page(size, device_scale_factor=1, is_mobile=size is PHONE, has_touch=size is PHONE)
    page.get_by_role("button", name="shapes 1.mp4").click()
    # One, so that its box alone is on the canvas.
    page.get_by_label("Sentences").fill("the small red circle which goes up")
    page.get_by_role("button", name="Find").click()
    wait_for_answers(page, 1)
    with page.expect_download() as download:
        page.get_by_role("link", name="tube.json").click()
    tube = json.loads(download.value.path().read_text())
    check_box(page, tube)
    told = page.locator(".answer").inner_text()
    assert f"confidence {tube['confidence']:.2f}" in told
    assert tube["note"] in told
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    slider = page.get_by_role("slider")
    place = slider.bounding_box()
    slider.click(position={"x": place["width"] / 4, "y": 10})
    assert page.evaluate("document.getElementById('video').currentTime") == pytest.approx(1.0, abs=0.05)
    page.screenshot(path=tmp_path_factory.getbasetemp() / f"page-{size['width']}.png", full_page=True)


@pytest.mark.slow
def test_by_keyboard_alone(open_page):
    page = open_page(DESK)
    page.get_by_role("button", name="shapes 1.mp4").wait_for()

    def tab_to(condition: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate(f"(e => {condition})(document.activeElement)"):
                return
        raise AssertionError(f"no Tab leads to {condition}")

    tab_to("e.id === 'file'")
    tab_to("e.textContent === 'shapes 1.mp4'")
    page.keyboard.press("Enter")
    tab_to("e.id === 'sentences'")
    page.keyboard.press("Control+Enter")
    wait_for_answers(page, 2)
    tab_to("e.className === 'timeline'")
    page.keyboard.press("Home")
    page.wait_for_timeout(200)
    before = page.evaluate("document.getElementById('video').currentTime")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(200)
    after = page.evaluate("document.getElementById('video').currentTime")
    assert after - before == pytest.approx(1 / 16, abs=1e-3)
    assert float(page.evaluate("document.activeElement.getAttribute('aria-valuenow')")) == pytest.approx(after, abs=0.1)


@pytest.mark.slow
def test_an_upload_a_link_and_a_deletion(open_page, tmp_path):
    example = make_example(11, split="demo")
    video = tmp_path / "<b>mine.mp4"
    write_enlarged(video, example.frames(), example.fps, 3)
    page = open_page(DESK)
    page.get_by_text("Videos of up to").wait_for()
    page.set_input_files("#file", video)
    page.get_by_text("<b>mine.mp4, ").wait_for()
    page.get_by_label("Sentences").fill("a white triangle is shown\n")
    page.get_by_role("button", name="Copy a link").click()
    link = page.evaluate("location.hash")
    other = open_page(DESK, f"/{link}")
    wait_for_answers(other, 1)
    assert other.locator(".sentence").inner_text() == "a white triangle is shown"
    other.get_by_role("button", name="Delete the upload").click()
    other.get_by_text("the answers about it are deleted").wait_for()
    assert other.locator(".answer").count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_hit_of_a_search_is_grounded(open_page, size, tmp_path_factory):
    is_phone = size is PHONE
    page = open_page(size, server="address_with_index", device_scale_factor=1, is_mobile=is_phone, has_touch=is_phone)
    page.get_by_role("heading", name="Search 2 videos").wait_for()
    page.get_by_label("A sentence in English").fill("red")
    page.get_by_role("button", name="Search").click()
    hit = page.locator(".hit").nth(1)
    hit.wait_for()
    assert page.locator(".hit").count() == 4
    page.evaluate("document.querySelector('.hit img').decode()")
    assert page.evaluate("document.querySelector('.hit img').naturalWidth") > 0
    start = float(hit.inner_text().split()[0].split(":")[1])
    hit.tap() if is_phone else hit.click()
    wait_for_answers(page, 1)
    assert page.locator(".sentence").inner_text() == "red"
    assert f"searched from 0:0{start:.1f} to" in page.locator("#video-name").inner_text()
    assert hit.get_attribute("aria-pressed") == "true"
    assert not page.get_by_role("button", name="Delete the upload").is_visible()
    slider = page.get_by_role("slider")
    assert float(slider.get_attribute("aria-valuemin")) == start
    page.evaluate("document.getElementById('video').pause()")
    place = slider.bounding_box()
    slider.click(position={"x": place["width"] / 2, "y": 10})
    assert page.evaluate("document.getElementById('video').currentTime") == pytest.approx(start + 1, abs=0.05)
    page.get_by_role("button", name="Copy a link").click()
    assert f"start={start:g}&end=" in page.evaluate("location.hash")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.screenshot(path=tmp_path_factory.getbasetemp() / f"page-search-{size['width']}.png", full_page=True)


@pytest.mark.slow
def test_a_search_by_keyboard_alone(open_page):
    page = open_page(DESK, server="address_with_index")
    page.get_by_role("heading", name="Search 2 videos").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.type("blue")
    page.keyboard.press("Enter")
    page.locator(".hit").nth(3).wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "hit"
    page.keyboard.press("Enter")
    wait_for_answers(page, 1)


@pytest.mark.slow
def test_a_question_is_stopped(open_page):
    page = open_page(DESK)
    page.get_by_role("button", name="shapes 2.mp4").click()
    page.get_by_label("Sentences").fill("a red circle\na blue square\na green triangle")
    page.get_by_role("button", name="Find").click()
    # The newest is on top.
    last = page.locator(".answer").nth(0)
    page.locator(".answer").nth(2).wait_for()
    last.get_by_role("button", name="Stop").click()
    assert last.locator(".status").inner_text() == "Stopped."
    wait_for_answers(page, 2)
    assert last.locator(".timeline").count() == 0
    assert page.get_by_role("button", name="Stop").count() == 0
