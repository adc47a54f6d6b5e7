"""Decisions on disk: one line each, made certain before anyone is told that it is saved.

A line carries a check sum. What a killed process or a power cut left of a last line is cut off on opening; a damaged
line before it is an error, for a decision would be missing without anyone knowing. Knows lines, not what they mean.
"""

import json
import os
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.errors import OutputError, StoreError
from engine.store import atomic

Entry = dict[str, Any]
_LINE = re.compile(rb'(\{.*),"crc":([0-9]+)\}')


class Journal:
    """An append-only file of entries. `seq` counts them from 1; `time` is UTC. Raises StoreError if damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        new = not path.exists()
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
            self._places = self._scan()
            self._cut(self._end)
            os.fsync(self._file)
        except OSError as error:
            raise OutputError.of(path, error) from error
        if new:
            atomic.sync(path.parent)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def _end(self) -> int:
        return sum(self._places[-1]) if self._places else 0

    def append(self, entry: Entry) -> Entry:
        """Write an entry and make it certain; returns it with `seq` and `time`. Raises OutputError, then nothing is."""
        whole = {"seq": len(self) + 1, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry}
        line, begin = _line(whole), self._end
        try:
            _write(self._file, line, begin)
            os.fsync(self._file)
        except OSError as error:
            self._cut(begin)
            raise OutputError.of(self.path, error) from error
        self._places.append((begin, len(line)))
        return whole

    def entry(self, seq: int) -> Entry:
        """One entry, read from the file."""
        begin, length = self._places[seq - 1]
        os.lseek(self._file, begin, os.SEEK_SET)
        return _read(os.read(self._file, length), self.path, seq)

    def entries(self) -> Iterator[Entry]:
        """All entries, first to last."""
        for seq in range(1, len(self) + 1):
            yield self.entry(seq)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _scan(self) -> list[tuple[int, int]]:
        """Where each whole line begins, and its length."""
        places: list[tuple[int, int]] = []
        begin = 0
        lines = self.path.read_bytes().splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            try:
                _read(line, self.path, number)
            except StoreError:
                if number == len(lines) and not line.endswith(b"\n"):
                    break
                raise
            places.append((begin, len(line)))
            begin += len(line)
        return places

    def _cut(self, length: int) -> None:
        os.ftruncate(self._file, length)


def _write(file: int, data: bytes, begin: int) -> None:
    os.lseek(file, begin, os.SEEK_SET)
    while data:
        data = data[os.write(file, data) :]


def _line(entry: Entry) -> bytes:
    text = json.dumps(entry, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()[:-1]
    return text + b',"crc":%d}\n' % zlib.crc32(text)


def _read(line: bytes, path: Path, number: int) -> Entry:
    found = _LINE.fullmatch(line.removesuffix(b"\n"))
    if found is None or not line.endswith(b"\n") or zlib.crc32(found[1]) != int(found[2]):
        raise StoreError(
            f"{path}: line {number} is damaged", "take it from a backup, or move it away to begin without its decisions"
        )
    entry: Entry = json.loads(found[1] + b"}")
    if entry.get("seq") != number:
        raise StoreError(f"{path}: line {number} is out of order", "take the file from a backup")
    return entry
