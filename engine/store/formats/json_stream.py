"""JSON files of any length, value by value: only the value asked for is in memory, and where it lies is known.

A document is entered by `names` (an object) and `entries` (a list). What is inside is taken by `value`, entered in
turn, or passed over. Knows bytes and JSON; knows no format.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from engine.errors import FormatError

_BLOCK = 1 << 18
_BYTE_ORDER_MARK = "\xef\xbb\xbf"
_SPACE = " \t\n\r"
_LONGEST_WORD = 16  # an error this close to the end of what was read may be a value that goes on
_EXPONENT = 2  # of a number that goes on, what may be left behind its digits: `e+`
_DECODER = json.JSONDecoder()


class JsonFile:
    """An open JSON file. `temporary`: it is a spool and is removed on closing. FormatError if it cannot be opened."""

    def __init__(self, path: Path, temporary: bool = False) -> None:
        self.path, self._temporary = path, temporary
        try:
            self._stream = path.open("rb")
        except OSError as error:
            raise FormatError(f"{path}: cannot be read ({error.strerror})", "check the name") from error

    def read(self, at: int = 0) -> "JsonReader":
        """Reads on from a byte; only one reader of a file is used at a time."""
        return JsonReader(self._stream, self.path, at)

    def value(self, at: int) -> Any:
        """The value that begins at a byte."""
        return JsonReader(self._stream, self.path, at, block=1 << 12).value()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        if self._temporary:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class JsonReader:
    """One pass over a stream of JSON. Every fault is a FormatError that names the file and the byte."""

    def __init__(self, stream: BinaryIO, where: Path | str, at: int = 0, block: int = _BLOCK) -> None:
        self._stream, self._where, self._block = stream, where, block
        self._text, self._at = "", 0  # a character is a byte, so that places in the text are places in the file
        self._base, self._whole = at, False
        try:
            stream.seek(at)
        except (OSError, ValueError) as error:
            raise FormatError(f"{where}: cannot be read ({error})", "check the file") from error
        if at == 0:
            self._pass_mark()

    @property
    def position(self) -> int:
        """The byte at which the next value begins."""
        self._next()
        return self._base + self._at

    def kind(self) -> str:
        """The first character of the next value: `{`, `[`, `"`, ...; "" at the end."""
        return self._next()

    def value(self) -> Any:
        """The next value, whole."""
        self._next()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                goes_on = error.pos > len(self._text) - _LONGEST_WORD or error.msg.startswith("Unterminated")
                if self._whole or not goes_on:
                    raise self._broken(f"{error.msg.removesuffix(' at')} at byte {self._base + error.pos}") from error
            except (ValueError, RecursionError) as error:
                raise self._broken("a number too long, or nested too deeply") from error
            else:
                if end < len(self._text) - _EXPONENT or self._whole:
                    break
            self._more()
        text, self._at = self._text[self._at : end], end
        found = found if text.isascii() else self._decoded(text)
        if "\\u" in text and not is_text(found):
            raise self._broken("half a character, \\ud800 to \\udfff alone, in a text")
        return found

    def names(self) -> Iterator[str]:
        """Enters an object: its keys. The value of each is taken before the next is asked for, or passed over."""
        self._enter("{")
        while self._next() != "}":
            key = self.value()
            if not isinstance(key, str) or self._next() != ":":
                raise self._unexpected("a key and a colon")
            self._at += 1
            begin = self.position
            yield key
            if self.position == begin:
                self.skip()
            self._comma("}")
        self._at += 1

    def entries(self) -> Iterator[int]:
        """Enters a list: where each value begins. Each is taken before the next is asked for, or passed over."""
        self._enter("[")
        while self._next() != "]":
            begin = self.position
            yield begin
            if self.position == begin:
                self.skip()
            self._comma("]")
        self._at += 1

    def skip(self, levels: int = 2) -> None:
        """Pass over the next value; long lists and objects are not held, however long."""
        kind = self._next()
        if kind == "[" and levels:
            for _ in self.entries():
                self.skip(levels - 1)
        elif kind == "{" and levels:
            for _ in self.names():
                self.skip(levels - 1)
        else:
            self.value()

    def end(self) -> None:
        """Raise FormatError unless nothing follows."""
        if self._next():
            raise self._unexpected("the end of the file")

    def _enter(self, bracket: str) -> None:
        if self._next() != bracket:
            raise self._unexpected(repr(bracket))
        self._at += 1

    def _comma(self, bracket: str) -> None:
        found = self._next()
        if found == ",":
            self._at += 1
            if self._next() != bracket:
                return
        elif found == bracket:
            return
        raise self._unexpected(f"',' or {bracket!r}")

    def _next(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            text, at = self._text, self._at
            while at < len(text) and text[at] in _SPACE:
                at += 1
            self._at = at
            if at < len(text):
                return text[at]
            if self._whole:
                return ""
            self._more()

    def _pass_mark(self) -> None:
        while len(self._text) < len(_BYTE_ORDER_MARK) and not self._whole:
            self._more()
        if self._text.startswith(_BYTE_ORDER_MARK):
            self._at = len(_BYTE_ORDER_MARK)

    def _more(self) -> None:
        """Read on, by as much as is held already, and let go of what lies behind."""
        kept = self._text[self._at :]
        try:
            block = self._stream.read(max(self._block, len(kept)))
        except (OSError, ValueError) as error:
            raise FormatError(f"{self._where}: cannot be read ({error})", "check the file") from error
        self._whole = not block
        self._base += self._at
        self._text, self._at = kept + block.decode("latin-1"), 0

    def _decoded(self, text: str) -> Any:
        try:
            return json.loads(text.encode("latin-1").decode())
        except UnicodeDecodeError as error:
            raise self._broken("its text is not UTF-8") from error

    def _unexpected(self, wanted: str) -> FormatError:
        found = self._next()
        here = f"{found!r} at byte {self._base + self._at}" if found else "its end"
        return self._broken(f"{wanted} expected, found {here}")

    def _broken(self, what: str) -> FormatError:
        return FormatError(f"{self._where}: is no JSON ({what})", "the file may be cut short; write it again")


def is_text(document: Any) -> bool:
    """Whether all texts in a document can be written: JSON may hold half of a surrogate pair, which no encoding has."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
