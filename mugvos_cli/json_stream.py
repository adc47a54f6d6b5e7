"""A JSON document with one long list, written an item at a time: memory does not grow with the list.

It is kept in a file until it is whole, so that an error on the way leaves nothing on standard output.
"""

import json
import shutil
import sys
import tempfile
from typing import IO, Any

from mugvos_cli import console

_IN_MEMORY = 4 << 20


class JsonWithList:
    """`head` with the list called `key` behind it, then what `finish` is given. Looks as console.emit_json's does."""

    def __init__(self, head: dict[str, Any], key: str) -> None:
        self._file: IO[str] = tempfile.SpooledTemporaryFile(  # noqa: SIM115
            _IN_MEMORY, "w+", encoding="utf-8", errors="backslashreplace"
        )
        self._items = 0
        self._file.write(_members(head) + f",\n  {json.dumps(key)}: [")

    def add(self, item: Any) -> None:
        """One more item of the list."""
        text = console.as_json(item).replace("\n", "\n    ")
        self._file.write(f"{',' if self._items else ''}\n    {text}")
        self._items += 1

    def finish(self, tail: dict[str, Any]) -> None:
        """The members behind the list; then all of it goes to standard output."""
        self._file.write("\n  ]" if self._items else "]")
        self._file.write(f",\n{_members(tail)[2:]}\n}}\n" if tail else "\n}\n")
        self._file.seek(0)
        shutil.copyfileobj(self._file, sys.stdout)
        sys.stdout.flush()
        self._file.close()


def _members(values: dict[str, Any]) -> str:
    """The members of an object, with its opening brace and without its closing one."""
    return console.as_json(values)[: -len("\n}")]
