"""A dataset of videos with captions, without boxes."""

from stvg_jax.data_pipeline.datasets.dataset import Dataset
from tests.data_pipeline.datasets.toy import LAYOUTS, read_captions

DATASET = Dataset(
    name="captions",
    title="captions",
    layouts=LAYOUTS,
    read=read_captions,
    video_folders=("clips",),
    stored_frames="all",
)
