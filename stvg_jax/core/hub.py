"""The Hugging Face hub: files of its repositories, in its local cache or fetched. The only module that opens
connections, also to fetch files from other servers."""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stvg_jax.core.errors import InputError, first_line

_SHA256 = re.compile("[0-9a-f]{64}")
# Seconds until a server must have told about a file.
_TIMEOUT_SEC = 10


class Remote(NamedTuple):
    """A file on a server.

    Attributes:
        url: its address.
        title: its name in messages.
        size: its bytes; None if the server does not tell.
        sha256: its SHA-256 as the server states it; None if it does not.
        revision: the commit that it belongs to; None outside of the hub.
        headers: what to send along, such as the user's token.
    """

    url: str
    title: str
    size: int | None = None
    sha256: str | None = None
    revision: str | None = None
    headers: Mapping[str, str] = {}


def find_files(
    names: Sequence[str], choices: Sequence[Sequence[str]], *, beside: Sequence[str] = ()
) -> tuple[list[Path], str]:
    """Files from the hub's local cache or, if they are not there, from the hub.

    Args:
        names: names of the repository; the first that has the files is taken.
        choices: groups of files; the first that is complete is taken.
        beside: further files to get into the same folder, where the repository has them.

    Returns:
        Paths of the group's files, and a text that says where they come from.

    Raises:
        InputError: the hub cannot be reached, lacks the files, or asks for a login.
    """
    import huggingface_hub

    failures: list[Exception] = []
    for offline, origin in ((True, "hub cache"), (False, "hub")):
        if not offline and not answers():
            break
        for name, files in itertools.product(names, choices):
            try:
                paths = [huggingface_hub.hf_hub_download(name, file, local_files_only=offline) for file in files]
            except Exception as error:  # not there, a proxy's page, a full disk: each has an exception of its own
                failures += [] if offline else [error]
                continue
            for file in beside:
                with contextlib.suppress(Exception):
                    huggingface_hub.hf_hub_download(name, file, local_files_only=offline)
            return [Path(path) for path in paths], f"{name} ({origin})"
    raise InputError(_reason(names[0], choices, failures))


def cached_file(repository: str, file: str, revision: str | None = None) -> Path | None:
    """Path of a repository's file in the hub's local cache; None if it is not there."""
    from huggingface_hub import constants, try_to_load_from_cache

    found = try_to_load_from_cache(repository, file, cache_dir=constants.HF_HUB_CACHE, revision=revision)
    return Path(found) if isinstance(found, str) and Path(found).is_file() else None


def locate(repository: str, file: str, revision: str | None = None) -> Remote:
    """Asks the hub about a file.

    Raises:
        InputError: the hub cannot be reached, lacks the file, or asks for a login.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, utils

    _check_reachable(repository)
    try:
        found = get_hf_file_metadata(hf_hub_url(repository, file, revision=revision), timeout=_TIMEOUT_SEC)
    except Exception as error:
        if _status(error) is None:
            raise InputError(f"the hub at {constants.ENDPOINT} cannot be reached: {first_line(error)}") from error
        raise InputError(_reason(repository, [[file]], [error])) from error
    # Branches move, commits do not.
    url = hf_hub_url(repository, file, revision=found.commit_hash or revision)
    sha256 = found.etag if found.etag and _SHA256.fullmatch(found.etag) else None
    title = f"{file} of {repository}"
    return Remote(url, title, found.size, sha256, found.commit_hash, utils.build_hf_headers())


def download(remote: Remote, path: Path, *, step: Callable[[int], Any] = lambda size: None) -> None:
    """Writes a file of a server to `path`, where it continues what an interrupted call has left.

    Args:
        remote: the file.
        path: the file to write, in an existing folder.
        step: is called with the number of bytes after each part, first with those that were there.

    Raises:
        InputError: the server cannot be reached or does not give the whole file, or the disk is full.
    """
    from huggingface_hub.file_download import http_get

    _check_reachable(remote.title)
    done = path.stat().st_size if path.exists() else 0
    if remote.size is not None and done > remote.size:
        path.unlink()
        done = 0
    step(done)
    if remote.size is not None and done == remote.size:
        return
    try:
        with _quiet(), _Counted(path, step) as file:
            file.seek(done)
            http_get(remote.url, file, resume_size=done, headers=dict(remote.headers), expected_size=remote.size)  # type: ignore[arg-type]
    except Exception as error:
        if _status(error) == 416:  # There is less on the server than was fetched before.
            path.unlink()
        raise InputError(_download_failure(remote, path, error)) from error


def _download_failure(remote: Remote, path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk of {path.parent} is full; make room and start again, which continues after "
            f"{path.stat().st_size:,} bytes, or set STVG_JAX_CACHE to a folder on another disk"
        )
    found = path.stat().st_size if path.exists() else 0
    if found and found != remote.size:
        of = f" of {remote.size:,}" if remote.size is not None else ""
        return (
            f"{remote.title} broke off after {found:,}{of} bytes ({first_line(error, 100)}); start again, which "
            "continues there"
        )
    return f"{remote.title} could not be fetched from {remote.url}: {first_line(error)}"


class _Counted(io.BufferedRandom):
    """A file to write on, which reports the size of each part."""

    def __init__(self, path: Path, step: Callable[[int], Any]) -> None:
        super().__init__(io.FileIO(path, "r+" if path.exists() else "x+"))
        self._step = step

    def write(self, buffer: Any, /) -> int:
        written = super().write(buffer)
        self._step(written)
        return written


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides the progress bars of huggingface_hub, in place of which this library shows its own."""
    from huggingface_hub import utils

    hidden = utils.are_progress_bars_disabled()
    if not hidden:
        utils.disable_progress_bars()
    try:
        yield
    finally:
        if not hidden:
            utils.enable_progress_bars()


def fetch_folder(repository: str, patterns: Sequence[str], revision: str | None = None) -> Path:
    """Brings the files of a repository that match the patterns into the hub's local cache.

    Returns:
        Their folder, whose name is the commit.

    Raises:
        InputError: the hub cannot be reached, lacks the repository, or asks for a login; or the disk is full.
    """
    import huggingface_hub
    from huggingface_hub import constants

    _check_reachable(repository)
    try:
        with _quiet():
            folder = huggingface_hub.snapshot_download(
                repository, revision=revision, allow_patterns=list(patterns), cache_dir=constants.HF_HUB_CACHE
            )
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(f"the disk of {constants.HF_HUB_CACHE} is full; make room, or set HF_HOME") from error
        raise InputError(_reason(repository, [patterns], [error])) from error
    return Path(folder)


def upload_folder(folder: Path, repository: str, *, message: str, private: bool = False) -> str:
    """Makes a repository of the hub if there is none, and adds the files of a folder to it in one commit.

    Returns:
        Address of the repository.

    Raises:
        InputError: the hub cannot be reached, or the user may not write there.
    """
    import huggingface_hub

    _check_reachable(repository)
    api = huggingface_hub.HfApi()
    try:
        # None leaves a repository that exists as it is.
        url = api.create_repo(repository, exist_ok=True, private=private or None)
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
    except Exception as error:
        if _status(error) in (401, 403):
            raise InputError(
                f"the Hugging Face hub does not let you write to {repository}; log in with `hf auth login` and a token "
                "that may write there"
            ) from error
        raise InputError(f"{repository} could not be written on the Hugging Face hub: {first_line(error)}") from error
    return str(url)


def _status(error: Exception) -> int | None:
    """Number of the answer of a server that refused."""
    return getattr(getattr(error, "response", None), "status_code", None)


def _reason(name: str, choices: Sequence[Sequence[str]], failures: Sequence[Exception]) -> str:
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if not failures:
        return f"{name} is not in the local cache of the Hugging Face hub, and the hub cannot be reached"
    if any(isinstance(error, GatedRepoError) for error in failures):
        return (
            f"{name} is gated: accept its terms at https://huggingface.co/{name} and log in with `hf auth login`, or "
            "download its files yourself"
        )
    if all(isinstance(error, RepositoryNotFoundError) for error in failures):
        return f"the Hugging Face hub has no repository {name}; one that is private needs `hf auth login`"
    if any(isinstance(error, RevisionNotFoundError) for error in failures):
        return f"{name} on the Hugging Face hub has no such revision; leave it out for the newest"
    if all(isinstance(error, (EntryNotFoundError, RepositoryNotFoundError)) for error in failures):
        return f"{name} on the Hugging Face hub lacks {' or '.join(' and '.join(files) for files in choices)}"
    return f"{name} could not be fetched from the Hugging Face hub: {first_line(failures[-1])}"


def is_offline() -> bool:
    """True if HF_HUB_OFFLINE forbids connections."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def answers() -> bool:
    """True if the hub can be reached. Without a network each download would be retried for half a minute."""
    from huggingface_hub import constants, utils

    try:
        utils.get_session().head(constants.ENDPOINT, timeout=_TIMEOUT_SEC)
    except Exception:  # no network, or told to be offline
        return False
    return True


def _check_reachable(what: str) -> None:
    if is_offline():
        raise InputError(f"{what} is not on this machine, and HF_HUB_OFFLINE forbids to fetch it; unset HF_HUB_OFFLINE")
