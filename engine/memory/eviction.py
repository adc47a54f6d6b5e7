"""Which entry of a full memory may go (MMPM, Table 6 and its released code). Knows indices only.

Entries are in the order of time. Two sets limit the policies: `anchors`, the entries with a mask that somebody gave,
which the policies that spare the first entry spare too, and `needed`, entries that are the only one of some track.
"""

from collections.abc import Set
from typing import Literal, get_args

from engine.errors import UsageError

EvictionPolicy = Literal["random_except_first_last", "random_except_first", "random", "fifo", "not_filter"]
POLICIES: tuple[str, ...] = get_args(EvictionPolicy)


def check_policy(policy: str) -> None:
    """Raises UsageError for names that are no policy."""
    if policy not in POLICIES:
        raise UsageError(f"{policy!r} is no eviction policy", f"use one of {', '.join(POLICIES)}")


def eviction_candidates(policy: str, count: int, anchors: Set[int], needed: Set[int]) -> list[int]:
    """Indices of the entries of which one may go, drawn uniformly; empty if all must stay.

    random_except_first_last: all but the first, the newest and the anchors. random_except_first: all but the first and
    the anchors (the published code has this name too, but does there what not_filter does). random: any.
    fifo: the oldest. not_filter: the newest, so that the memory stays as it was when it became full.
    """
    check_policy(policy)
    free = [index for index in range(count) if index not in needed]
    if policy == "random_except_first_last":
        return [index for index in free if 0 < index < count - 1 and index not in anchors]
    if policy == "random_except_first":
        return [index for index in free if index > 0 and index not in anchors]
    if policy == "random":
        return free
    return free[:1] if policy == "fifo" else free[-1:]
