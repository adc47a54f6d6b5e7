"""What is worth watching in a propagation: its parts, under names that all methods share.

Knows where trackers keep their parts. Knows nothing of clocks and files; see engine.runtime.profile.
"""

from typing import Any

from engine.flow import dis, raft
from engine.masks import rle
from engine.memory import bank, buckets, long_term
from engine.models.sam.asking import Asker
from engine.models.sam.prompting import Prompter
from engine.propagation import loop, mavos, near
from engine.runtime.profile import Profile
from engine.runtime.upload import CardCopies
from engine.store import SegmentedRun

_FRAMES = (
    ("encode", "image encoder"),
    ("values", "value encoder"),
    ("masks", "mask decoder"),
    ("masks_in", "resizing of masks"),
    ("masks_out", "resizing of masks"),
)
_OWNERS = (
    (bank.TemporalMemory, "read", "memory read"),
    (bank.TemporalMemory, "add", "memory write"),
    (long_term.LongTermMemory, "read", "memory read"),
    (long_term.LongTermMemory, "add", "memory write"),
    (buckets.BucketedMemory, "read", "memory read"),
    (buckets.BucketedMemory, "add", "memory write"),
    (near.PreviousFrame, "beside", "memory read, previous frame"),
    (mavos, "match", "memory read"),
    (Prompter, "embed", "image encoder"),
    (Prompter, "decode", "mask decoder"),
    (Asker, "ask", "mask decoder"),
    (dis.DISFlow, "__call__", "optical flow"),
    (raft.RAFTFlow, "__call__", "optical flow"),
    (CardCopies, "begin", "frames to the card"),
    (rle, "record", "masks to runs"),
    (loop, "scored", "scores of masks"),
    (SegmentedRun, "append", "store"),
    (SegmentedRun, "checkpoint", "store"),
    (SegmentedRun, "finish", "store"),
)


def watch_propagation(profile: Profile, tracker: Any) -> None:
    """Watch the parts of this tracker and of the job around it until the profile ends."""
    for owner, attribute, name in _OWNERS:
        profile.watch(owner, attribute, name)
    for kind in _kinds(getattr(tracker, "frames", None)):
        for attribute, name in _FRAMES:
            profile.watch(kind, attribute, name)
    for kind in _kinds(tracker):
        for attribute in ("start", "step", "add", "correct"):
            profile.watch(kind, attribute, "rest of the tracker")
        profile.watch(kind, "state", "state of the tracker")


def _kinds(thing: Any) -> list[type]:
    """The classes whose methods an object has, without `object`."""
    return [] if thing is None else [kind for kind in type(thing).__mro__ if kind is not object]
