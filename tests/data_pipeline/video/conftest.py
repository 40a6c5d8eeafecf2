import pytest

from tests.data_pipeline.video.kinds import KINDS
from tests.videos import write_video


@pytest.fixture(scope="session")
def kinds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    return {name: write_video(folder / name, **options) for name, options in KINDS.items()}
