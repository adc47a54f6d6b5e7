"""Items made ready on another thread: the same ones, their errors, and no thread left behind."""

import threading
from collections.abc import Iterator

import pytest

from engine.propagation.ahead import ahead


def alive() -> bool:
    return any(thread.name == "frames ahead" for thread in threading.enumerate())


def test_the_same_items_in_order() -> None:
    assert list(ahead(range(50))) == list(range(50))
    assert list(ahead([])) == []
    assert not alive()


def test_an_error_comes_where_the_item_would() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    stream = ahead(items())
    assert next(stream) == 1
    with pytest.raises(ValueError, match="broken"):
        next(stream)
    assert not alive()


def test_closing_ends_the_thread_and_the_source() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    stream = ahead(items())
    assert next(stream) == 0
    stream.close()  # type: ignore[attr-defined]
    assert closed.is_set() and not alive()
