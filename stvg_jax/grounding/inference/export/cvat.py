"""A track of "CVAT for video 1.1", to correct an answer there: upload it as annotations of a task of the video."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from stvg_jax.core.characters import has_surrogate, without_surrogates
from stvg_jax.core.files import whole_path

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.tube import Tube

ENDING = "cvat.xml"
_REPLACEMENT = "\ufffd"


def write(tube: Tube, path: Path) -> None:
    """Writes one track. Where it ends before the video, CVAT is told so by one more box that is outside."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    label = _clean(tube.subject or "target")
    texts = {
        "name": _clean(tube.sentence),
        "size": str(tube.clip[1]),
        "mode": "interpolation",
        "start_frame": "0",
        "stop_frame": str(tube.clip[1] - 1),
    }
    for name, text in texts.items():
        ElementTree.SubElement(task, name).text = text
    ElementTree.SubElement(ElementTree.SubElement(ElementTree.SubElement(task, "labels"), "label"), "name").text = label
    size = ElementTree.SubElement(task, "original_size")
    ElementTree.SubElement(size, "width").text = str(tube.width)
    ElementTree.SubElement(size, "height").text = str(tube.height)

    track = ElementTree.SubElement(root, "track", id="0", label=label, source="auto")
    frames, boxes = tube.answer_boxes()
    shown = [(frame, box, "0") for frame, box in zip(frames.tolist(), boxes.tolist(), strict=True)]
    if (end := int(frames[-1]) + 1) < tube.clip[1]:
        shown.append((end, shown[-1][1], "1"))
    for frame, box, outside in shown:
        corners = dict(zip(("xtl", "ytl", "xbr", "ybr"), (f"{value:.2f}" for value in box), strict=True))
        values = {"frame": str(frame), "outside": outside, "occluded": "0", "keyframe": "1"}
        ElementTree.SubElement(track, "box", {**values, **corners, "z_order": "0"})
    ElementTree.indent(root)
    with whole_path(path) as partial:
        ElementTree.ElementTree(root).write(partial, encoding="utf-8", xml_declaration=True)


def _clean(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    text = without_surrogates(text) if has_surrogate(text) else text
    return "".join(c if c in "\t\n\r" or c >= " " and c not in "\ufffe\uffff" else _REPLACEMENT for c in text)
