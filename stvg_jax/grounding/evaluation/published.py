"""What papers report, to stand beside a result: m_tIoU, m_vIoU, vIoU@0.3, vIoU@0.5 in percent."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

MEASURES = ("m_tIoU", "m_vIoU", "vIoU@0.3", "vIoU@0.5")

_CG_README = "https://github.com/HengLan/CGSTVG, README"
_TA_README = "https://github.com/HengLan/TA-STVG, README"
_TA_PAPER = "https://arxiv.org/abs/2502.11168, results on VidSTG; the README has the declarative ones too"


@dataclasses.dataclass(frozen=True)
class Row:
    """One system's figures.

    Attributes:
        method, venue: such as "TA-STVG" and "ICLR 2025".
        percent: by kind of sentence, one per entry of `MEASURES`; None where it was not reported.
        source: where the figures are from.
    """

    method: str
    venue: str
    percent: Mapping[str, tuple[float | None, ...]]
    source: str


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A test set and what has been reported on it.

    Attributes:
        title: for people.
        samples: how many sentences it has, by kind.
        rows: oldest first.
    """

    title: str
    samples: Mapping[str, int]
    rows: tuple[Row, ...]


def _row(method: str, venue: str, source: str, declarative: tuple, interrogative: tuple | None = None) -> Row:
    percent = {"declarative": declarative}
    return Row(method, venue, percent if interrogative is None else percent | {"interrogative": interrogative}, source)


BENCHMARKS = {
    "hcstvg1": Benchmark(
        "HC-STVG v1, test",
        {"declarative": 1160},
        (
            _row("TubeDETR", "CVPR 2022", _CG_README, (43.7, 32.4, 49.8, 23.5)),
            _row("STCAT", "NeurIPS 2022", _CG_README, (49.4, 35.1, 57.7, 30.1)),
            _row("CSDVL", "CVPR 2023", _CG_README, (None, 36.9, 62.2, 34.8)),
            _row("CG-STVG", "CVPR 2024", _CG_README, (52.8, 38.4, 61.5, 36.3)),
            _row("TA-STVG", "ICLR 2025", _TA_README, (53.0, 39.1, 63.1, 36.8)),
        ),
    ),
    "hcstvg2": Benchmark(
        "HC-STVG v2, validation (its test annotations are not public)",
        {"declarative": 2000},
        (
            _row("TubeDETR", "CVPR 2022", _CG_README, (None, 36.4, 58.8, 30.6)),
            _row("CSDVL", "CVPR 2023", _CG_README, (58.1, 38.7, 65.5, 33.8)),
            _row("CG-STVG", "CVPR 2024", _CG_README, (60.0, 39.5, 64.5, 36.3)),
            _row("TA-STVG", "ICLR 2025", _TA_README, (60.4, 40.2, 65.8, 36.7)),
        ),
    ),
    "vidstg": Benchmark(
        "VidSTG, test",
        {"declarative": 4610, "interrogative": 5693},
        (
            _row("TubeDETR", "CVPR 2022", _CG_README, (48.1, 30.4, 42.5, 28.2), (46.9, 25.7, 35.7, 23.2)),
            _row("STCAT", "NeurIPS 2022", _CG_README, (50.8, 33.1, 46.2, 32.6), (49.7, 28.2, 39.2, 26.6)),
            _row("CSDVL", "CVPR 2023", _CG_README, (None, 33.7, 47.2, 32.8), (None, 28.5, 39.9, 26.2)),
            _row("CG-STVG", "CVPR 2024", _CG_README, (51.4, 34.0, 47.7, 33.1), (49.9, 29.0, 40.5, 27.5)),
            _row("TA-STVG", "ICLR 2025", _TA_PAPER, (51.7, 34.4, 48.2, 33.5), (50.2, 29.5, 41.5, 28.0)),
        ),
    ),
}


def find_benchmark(dataset: str, samples: int) -> str | None:
    """The benchmark that a set of annotations is, told by its size to 3 %; None for anything else.

    Every reader of the files leaves out some unusable entries, hence the margin.

    Args:
        dataset: "hcstvg", "vidstg" or "json".
        samples: how many there are.
    """
    for name, benchmark in BENCHMARKS.items():
        size = sum(benchmark.samples.values())
        if name.startswith(dataset) and abs(samples - size) <= 0.03 * size:
            return name
    return None
