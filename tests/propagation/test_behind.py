"""Work behind the model: in order, beside whoever gave it, errors passed on, nothing lost at the end."""

import threading
import time

import pytest

from engine.propagation.behind import Behind

PATIENCE = 60


def test_whoever_gives_work_goes_on_while_it_is_done() -> None:
    """The piece cannot end before `do` has returned."""
    returned, ended = threading.Event(), threading.Event()

    def work() -> None:
        assert returned.wait(PATIENCE)
        ended.set()

    with Behind() as behind:
        behind.do(work)
        returned.set()
        behind.wait()
        assert ended.is_set()


def test_pieces_are_done_in_order_and_all_of_them() -> None:
    seen: list[int] = []
    with Behind() as behind:
        for number in range(50):
            behind.do(lambda number=number: seen.append(number))
    assert seen == list(range(50))


def test_no_more_than_depth_and_the_one_under_way_are_waiting() -> None:
    go = threading.Event()
    given: list[int] = []

    def give(behind: Behind) -> None:
        for number in range(5):
            behind.do(lambda: go.wait(PATIENCE) and None)
            given.append(number)

    with Behind(depth=1) as behind:
        giver = threading.Thread(target=give, args=(behind,))
        giver.start()
        deadline = time.monotonic() + PATIENCE
        while len(given) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        giver.join(0.2)
        assert len(given) == 2  # one under way, one waiting
        go.set()
        giver.join(PATIENCE)
        assert len(given) == 5


def fail() -> None:
    raise ValueError("no room")


def test_what_a_piece_raises_comes_back_to_whoever_waits() -> None:
    with pytest.raises(ValueError, match="no room"), Behind() as behind:
        behind.do(fail)
        behind.wait()


def test_what_a_piece_raises_comes_back_at_the_end_too() -> None:
    with pytest.raises(ValueError, match="no room"), Behind() as behind:
        behind.do(fail)


def test_after_an_error_what_was_waiting_is_dropped() -> None:
    seen: list[str] = []
    go = threading.Event()

    def first() -> None:
        assert go.wait(PATIENCE)
        seen.append("first")

    with pytest.raises(KeyError), Behind() as behind:
        behind.do(first)
        behind.do(lambda: seen.append("second"))
        threading.Timer(0.2, go.set).start()
        raise KeyError
    assert seen == ["first"]
