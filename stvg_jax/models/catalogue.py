"""The checkpoints that have names: those of the authors, the files that training starts from, and the built-in ones.

Names, files, sizes, scores and licences are those of the authors' READMEs. The library holds none of these files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

_TUBEDETR_README = "https://github.com/antoyang/TubeDETR"
_STCAT_README = "https://github.com/jy0205/STCAT"
_MDETR_README = "https://github.com/ashkamath/mdetr"
_SWIN_README = "https://github.com/SwinTransformer/Video-Swin-Transformer"
_ROBERTA_PAGE = "https://huggingface.co/FacebookAI/roberta-base"
_ALPRO_README = "https://github.com/salesforce/ALPRO"
_STGT_README = "https://github.com/GXYM/STGT"
_LAVIS_README = "https://github.com/salesforce/LAVIS"

_MDETR_URL = "https://zenodo.org/record/4721981/files/pretrained_resnet101_checkpoint.pth?download=1"
_SWIN_FILE = "swin_tiny_patch244_window877_kinetics400_1k.pth"
_SWIN_URL = f"https://github.com/SwinTransformer/storage/releases/download/v1.0.4/{_SWIN_FILE}"

_LAVIS_MODELS = "https://storage.googleapis.com/sfr-vision-language-research/LAVIS/models"
# Pages that have the two files of STGT for a dataset.
_BAIDU = {
    "didemo": "1yezEntt8w0rQVG99jy12JA",
    "lsmdc": "19zdiscvvoeeJjZ9v5zMIrg",
    "msrvtt": "1NC7vGWW5hkwP8V72Fwpxig",
    "msvd": "18QUC_gUMleswxymVKR-zSA",
    "pretrained": "1afl0BzUzhkbn_P3eSIF8TQ",
    "pretrained_1024": "1jP9rLMyyZ2mteD7kwu1irw",
}

# Repository, size of a file and page.
_HUB = {
    "TA-STVG": ("Gstar666/TASTVG", 1_900_000_000, "https://github.com/HengLan/TA-STVG"),
    "CG-STVG": ("Gstar666/CGSTVG", 3_400_000_000, "https://github.com/HengLan/CGSTVG"),
}

_UNSTATED = "not stated"


@dataclasses.dataclass(frozen=True)
class Record:
    """A checkpoint that has a name.

    Attributes:
        name: its name on command lines.
        system: name of the system, for people.
        kind: "model"; "start" for parameters that only a training can start from; "builtin".
        file: name of the released file.
        size: bytes of the file to two digits, as its authors give it; 0 if they do not.
        page: page that describes the file and its licence.
        licence: licence as stated there, or "not stated".
        dataset: key of the benchmark on which it was published, such as "hcstvg1"; "" for a start.
        resolution: height of its frames in pixels; None for a start.
        scores: published figures, by kind of sentence m_tIoU, m_vIoU, vIoU@0.3 and vIoU@0.5, or by direction R@1, R@5,
            R@10 in percent and the median rank; None for what is not reported.
        repository: repository on the Hugging Face hub that holds the file.
        revision: commit of the repository to take; None for the newest.
        url: fixed address of a file that is elsewhere.
        by_hand: page with a button to download a file that has no fixed address.
        sha256: SHA-256 of the file where it is known.
        format: format of the conversion (`convert.formats.known_formats`).
        config: configuration of the conversion; "" for that of the release.
        overrides: settings to change in it, such as "--config.clip.resolution=416".
        backbone: name of the start whose file has the frozen backbone that this file lacks; "" for a file that lacks
            none.
        tokenizer: whether a start gets the tokenizer of RoBERTa-base, as models always do.
        note: what tells it from others, for people.
    """

    name: str
    system: str
    kind: str = "model"
    file: str = ""
    size: int = 0
    page: str = ""
    licence: str = _UNSTATED
    dataset: str = ""
    resolution: int | None = None
    scores: Mapping[str, tuple[float | None, ...]] = dataclasses.field(default_factory=dict)
    repository: str | None = None
    revision: str | None = None
    url: str | None = None
    by_hand: str | None = None
    sha256: str | None = None
    format: str = "auto"
    config: str = ""
    overrides: tuple[str, ...] = ()
    backbone: str = ""
    tokenizer: bool = False
    note: str = ""

    @property
    def source(self) -> str:
        """Place of the file, for people."""
        if self.repository is not None:
            return f"{self.repository}/{self.file}"
        return self.url or self.by_hand or "comes with the library"


def _declared(*percent: float | None) -> dict[str, tuple[float | None, ...]]:
    return {"declarative": percent}


def _both(declarative: tuple[float | None, ...], interrogative: tuple[float | None, ...]) -> dict:
    return {"declarative": declarative, "interrogative": interrogative}


def _on_the_hub(system: str, dataset: str, file: str, scores: Mapping[str, tuple[float | None, ...]]) -> Record:
    """A checkpoint of TA-STVG or CG-STVG, whose authors are the same."""
    family = system.lower().replace("-", "_")
    repository, size, page = _HUB[system]
    return Record(
        f"{family}_{dataset}",
        system,
        file=file,
        size=size,
        page=page,
        dataset=dataset,
        resolution=420,
        scores=scores,
        repository=repository,
        format=family,
        config=f"{family}_{dataset}",
    )


def _tubedetr(
    name: str,
    dataset: str,
    drive: str,
    resolution: int,
    scores: Mapping[str, tuple[float | None, ...]],
    note: str = "stride 4",
) -> Record:
    # The file tells stride, resolution and dataset itself.
    return Record(
        f"tubedetr_{name}",
        "TubeDETR",
        file=f"{name}.pth",
        size=3_000_000_000,
        page=_TUBEDETR_README,
        licence="Apache-2.0",
        dataset=dataset,
        resolution=resolution,
        scores=scores,
        by_hand=f"https://drive.google.com/file/d/{drive}/view",
        format="tubedetr",
        note=note,
    )


def _stcat(
    name: str, dataset: str, link: str, resolution: int, scores: Mapping[str, tuple[float | None, ...]]
) -> Record:
    return Record(
        f"stcat_{name}",
        "STCAT",
        file=f"{dataset.removesuffix('1')}_res{resolution}.pth",
        size=3_100_000_000,
        page=_STCAT_README,
        # Its README names one, its file LICENSE the other.
        licence="MIT or Apache-2.0",
        dataset=dataset,
        resolution=resolution,
        scores=scores,
        by_hand=f"https://disk.pku.edu.cn/link/{link}",
        format="stcat",
        config=f"stcat_{dataset}",
        overrides=() if resolution == 448 else (f"--config.clip.resolution={resolution}",),
    )


def _alpro(dataset: str, *figures: float) -> Record:
    file = f"alpro_{dataset}_retrieval.pt"
    return Record(
        f"alpro_{dataset}",
        "ALPRO",
        file=file,
        page=_ALPRO_README,
        licence="BSD-3-Clause",
        dataset=dataset,
        resolution=224,
        scores={"text to video": figures},
        url=f"{_LAVIS_MODELS}/ALPRO/{file}",
        format="alpro",
        config=f"alpro_{dataset}",
    )


def _stgt(name: str, file: str, embedding: int = 256) -> Record:
    dataset = "" if name == "pretrained" else name
    page = f"pretrained_{embedding}" if embedding != 256 and not dataset else name
    return Record(
        f"stgt_{name}" + ("" if embedding == 256 else f"_{embedding}"),
        "STGT",
        file=file,
        size=3_000_000_000,
        page=_STGT_README,
        # Its README names both.
        licence="MIT or Apache-2.0",
        dataset=dataset,
        resolution=224,
        by_hand=f"https://pan.baidu.com/s/{_BAIDU[page]}?pwd=gxym",
        format="stgt",
        config=f"stgt_{dataset or 'msrvtt'}",
        overrides=() if embedding == 256 else (f"--config.model.embedding={embedding}",),
        backbone="eva_vit_g",
        note="pre-trained" if not dataset else "",
    )


def _mdetr(format: str, note: str) -> Record:
    return Record(
        format,
        "MDETR",
        kind="start",
        file="pretrained_resnet101_checkpoint.pth",
        size=3_000_000_000,
        page=_MDETR_README,
        licence="Apache-2.0",
        url=_MDETR_URL,
        format=format,
        tokenizer=True,
        note=note,
    )


_RECORDS = (
    Record(
        "shapes",
        "TA-STVG",
        kind="builtin",
        licence="Apache-2.0",
        dataset="shapes",
        resolution=64,
        scores=_declared(74.4, 49.9, None, None),
        note="also called builtin",
    ),
    Record(
        "shapes_retrieval",
        "dual encoder",
        kind="builtin",
        licence="Apache-2.0",
        dataset="shapes",
        resolution=64,
        note="for index and search",
    ),
    _on_the_hub("TA-STVG", "hcstvg1", "TASTVG_HCSTVG.pth", _declared(53.0, 39.1, 63.1, 36.8)),
    _on_the_hub("TA-STVG", "hcstvg2", "TASTVG_HCSTVG2.pth", _declared(60.4, 40.2, 65.8, 36.7)),
    _on_the_hub("TA-STVG", "vidstg", "TASTVG_VidSTG.pth", _both((51.7, 34.4, 48.2, 33.5), (50.2, 29.5, 41.5, 28.0))),
    _on_the_hub("CG-STVG", "hcstvg1", "hcstvg.pth", _declared(52.8, 38.4, 61.5, 36.3)),
    _on_the_hub("CG-STVG", "hcstvg2", "hcstvg2.pth", _declared(60.0, 39.5, 64.5, 36.3)),
    _on_the_hub("CG-STVG", "vidstg", "vidstg.pth", _both((51.4, 34.0, 47.7, 33.1), (49.9, 29.0, 40.5, 27.5))),
    _stcat("hcstvg1", "hcstvg1", "AA51A4119F8AA843BEB2B7EC03FEFA82A5", 448, _declared(49.4, 35.09, 57.67, 30.09)),
    _stcat("hcstvg1_416", "hcstvg1", "AAE483531815CE4F2484BB5B0A68ED060C", 416, _declared(None, 34.93, 56.64, 31.03)),
    _stcat(
        "vidstg",
        "vidstg",
        "AA1337478438D4457DAD8FEF817234A04E",
        448,
        _both((50.8, 33.14, 46.20, 32.58), (49.7, 28.22, 39.24, 26.63)),
    ),
    _stcat(
        "vidstg_416",
        "vidstg",
        "AA2C0A9412722B47FBA3C67FE3314FEAA4",
        416,
        _both((None, 32.94, 46.07, 32.32), (None, 27.87, 38.89, 26.07)),
    ),
    _tubedetr("hcstvg1", "hcstvg1", "1cbPUx0rc20EUdz2jhhq2MbJY-YZ2ATl0", 352, _declared(43.7, 32.4, 49.8, 23.5)),
    _tubedetr(
        "hcstvg1_imagenet",
        "hcstvg1",
        "1XDC9hK9NhAVHGwOg9koGKEzheglsVy8H",
        352,
        _declared(None, 21.2, 31.6, 12.2),
        "stride 4, started from ImageNet",
    ),
    _tubedetr("hcstvg2", "hcstvg2", "1EAWHXPafyZxQh398HvMJf43-CiyWJvtn", 352, _declared(None, 36.4, 58.8, 30.6)),
    _tubedetr(
        "hcstvg2_224",
        "hcstvg2",
        "1mkY1vv1U_pSVRj4JRY6uYTABKONQEh_w",
        224,
        _declared(None, 35.8, 56.7, 29.6),
        "stride 2",
    ),
    _tubedetr(
        "vidstg",
        "vidstg",
        "1GqYjnad42-fri1lxSmT0vFWwYez6_iOv",
        352,
        _both((48.1, 30.4, 42.5, 28.2), (46.9, 25.7, 35.7, 23.2)),
    ),
    _tubedetr(
        "vidstg_224",
        "vidstg",
        "1FaKT54s7LWcTgW562OXpVWHPXxNG7INu",
        224,
        _both((None, 29.0, 40.4, None), (None, 24.6, 33.6, 21.6)),
        # The README gives 78.3 for vIoU@0.5, more than for vIoU@0.3.
        "stride 2",
    ),
    _tubedetr(
        "vidstg_imagenet",
        "vidstg",
        "1TSyR0RUf2VoDlBHVKvIZ0X8P53SW-Fi4",
        352,
        _both((None, 22.0, 29.7, 18.1), (None, 19.6, 26.1, 14.9)),
        "stride 4, started from ImageNet",
    ),
    _alpro("didemo", 35.9, 67.5, 78.8, 3.0),
    _alpro("msrvtt", 33.9, 60.7, 73.2, 3.0),
    Record(
        "alpro_pretrained",
        "ALPRO",
        file="alpro_pretrain.pt",
        page=_ALPRO_README,
        licence="BSD-3-Clause",
        resolution=224,
        url=f"{_LAVIS_MODELS}/ALPRO/alpro_pretrain.pt",
        format="alpro_original",
        note="pre-trained",
    ),
    _stgt("didemo", "checkpoint_best_w10m_v7m_256.pth"),
    _stgt("didemo", "checkpoint_best_w10m_v4m_1024.pth", 1024),
    _stgt("lsmdc", "checkpoint_best_w10m_v4m_256.pth"),
    _stgt("lsmdc", "checkpoint_best_w10m_v4m_1024.pth", 1024),
    _stgt("msrvtt", "checkpoint_best_w10m_v7m_256.pth"),
    _stgt("msrvtt", "checkpoint_best_w10m_v4m_1024.pth", 1024),
    _stgt("msvd", "checkpoint_best_w10m_v7m_256.pth"),
    _stgt("msvd", "checkpoint_best_w10m_v4m_1024.pth", 1024),
    _stgt("pretrained", "checkpoint_w10m_v7m_256.pth"),
    _stgt("pretrained", "checkpoint_w10m_v4m_1024.pth", 1024),
    _mdetr("mdetr", "start of TA-, CG-STVG"),
    _mdetr("mdetr_stcat", "start of STCAT"),
    _mdetr("mdetr_tubedetr", "start of TubeDETR"),
    Record(
        "video_swin",
        "Video Swin-T",
        kind="start",
        file=_SWIN_FILE,
        page=_SWIN_README,
        licence="Apache-2.0",
        url=_SWIN_URL,
        format="video_swin",
        note="motion backbone",
    ),
    Record(
        "roberta",
        "RoBERTa-base",
        kind="start",
        file="model.safetensors",
        size=500_000_000,
        page=_ROBERTA_PAGE,
        licence="MIT",
        repository="FacebookAI/roberta-base",
        format="roberta",
        tokenizer=True,
        note="text encoder",
    ),
    Record(
        "eva_vit_g",
        "EVA ViT-g",
        kind="start",
        file="eva_vit_g.pth",
        size=2_000_000_000,
        page=_LAVIS_README,
        url=f"{_LAVIS_MODELS}/BLIP2/eva_vit_g.pth",
        format="eva_vit_g",
        note="frozen part of STGT",
    ),
)

CATALOGUE = {record.name: record for record in _RECORDS}
