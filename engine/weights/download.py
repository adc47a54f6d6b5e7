"""Fetching named weights: into the weights folder, checked, whole or not at all.

pooch checks the digest and moves the file into place; the transfer is ours, so that it reports progress and an
interrupted one goes on where it stopped (if the server can). Knows addresses and files, nothing of what is in them.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pooch
import requests

from engine.errors import CheckpointError
from engine.weights.catalogue import Entry
from engine.weights.digest import file_digest
from engine.weights.find import by_hand, place_of

OnProgress = Callable[[int, int | None], None]

_CHUNK = 1 << 16
_TIMEOUT_S = 30.0


def fetch(entry: Entry, on_progress: OnProgress | None = None) -> Path:
    """The file of an entry, fetched unless it is there. `on_progress(done, total)` counts bytes.

    Raises CheckpointError if the address does not answer, has no such file, breaks off, or sends another file than the
    one that was published; OSError if the folder cannot be written.
    """
    place = place_of(entry)
    if entry.page and not place.is_file():
        raise CheckpointError(f"{entry.name} cannot be fetched by a program", by_hand(entry))
    if entry.url is None or place.is_file():
        return place
    transfer = _Transfer(place.with_name(f"{place.name}.part"), on_progress)
    pooch.get_logger().setLevel(logging.ERROR)
    otherwise = f"fetch it by hand and put it at {place}"
    try:
        pooch.retrieve(entry.url, _known_hash(entry), fname=place.name, path=place.parent, downloader=transfer)
    except requests.HTTPError as error:
        status = "an error" if error.response is None else f"{error.response.status_code} {error.response.reason}"
        raise CheckpointError(f"{entry.url}: the server answers {status}", otherwise) from error
    except requests.RequestException as error:
        raise CheckpointError(
            f"{entry.url}: the connection failed ({_cause(error)})", f"run the same command again, or {otherwise}"
        ) from error
    except ValueError as error:
        raise CheckpointError(
            f"{entry.url}: what arrived is not the published file (checksum differs); nothing was kept",
            f"try again, or {otherwise}",
        ) from error
    _check_beginning(place, entry, otherwise)
    return place


def _check_beginning(place: Path, entry: Entry, otherwise: str) -> None:
    """For files of which only the first digits of the digest are published."""
    if not file_digest(place).startswith(entry.sha256_begins):
        place.unlink()
        raise CheckpointError(
            f"{entry.url}: what arrived is not the published file (checksum differs); nothing was kept",
            f"try again, or {otherwise}",
        )


def _known_hash(entry: Entry) -> str | None:
    return f"sha256:{entry.sha256}" if entry.sha256 else None


def _cause(error: BaseException) -> str:
    """The innermost reason, in a few words."""
    text = str(error)
    for known in ("Connection refused", "Name or service not known", "timed out", "Network is unreachable"):
        if known.lower() in text.lower():
            return known.lower()
    return "it broke off" if isinstance(error, requests.exceptions.ChunkedEncodingError) else type(error).__name__


class _Transfer:
    """pooch's downloader: collects the bytes in `part`, going on after those that are there, then hands them over."""

    def __init__(self, part: Path, on_progress: OnProgress | None) -> None:
        self.part = part
        self.on_progress = on_progress

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        done = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={done}-"} if done else {}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                self.part.unlink()
                return self(url, output_file, pooch)
            answer.raise_for_status()
            self._receive(answer, done if answer.status_code == requests.codes.partial_content else 0)
        self.part.replace(output_file)
        return None

    def _receive(self, answer: requests.Response, done: int) -> None:
        length = answer.headers.get("Content-Length")
        total = done + int(length) if length and length.isdigit() else None
        with self.part.open("ab" if done else "wb") as file:
            for chunk in answer.iter_content(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                if self.on_progress:
                    self.on_progress(done, total)
