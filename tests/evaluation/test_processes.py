"""Work shared out over processes: order, errors, and what becomes of the work of a process that is lost."""

import os
import time
from collections.abc import Callable

import pytest

from engine.errors import EvaluationError
from engine.evaluation.processes import Processes

Maker = Callable[[], Callable[[int], int]]


def square(number: int) -> int:
    """Takes its time, so that the others get their share."""
    time.sleep(0.002)
    if number < 0:
        raise EvaluationError(f"{number} is below 0")
    return number * number


def maker() -> Callable[[int], int]:
    print("a library says something", flush=True)
    return square


def broken_maker() -> Callable[[int], int]:
    raise EvaluationError("cannot be opened")


def deserter() -> Callable[[int], int]:
    os._exit(3)


@pytest.mark.parametrize(("make", "count"), [(maker, 0), (maker, 2), (deserter, 1)])
def test_results_come_in_order_even_of_what_lost_processes_had(make: Maker, count: int) -> None:
    with Processes(count) as processes:
        assert list(processes.map([], square, make)) == []
    with Processes(count) as processes:
        assert list(processes.map(range(40), square, make)) == [number * number for number in range(40)]


def test_the_first_error_in_order_is_raised() -> None:
    seen: list[int] = []
    with Processes(1) as processes, pytest.raises(EvaluationError, match="-4 is below 0"):
        for result in processes.map([1, 2, 3, -4, 5, -6, *range(40)], square, maker):
            seen.append(result)
    assert seen == [1, 4, 9]


def test_what_another_process_cannot_open_is_an_error_of_its_items() -> None:
    with Processes(1) as processes, pytest.raises(EvaluationError, match="cannot be opened"):
        list(processes.map(range(10_000), square, broken_maker))
