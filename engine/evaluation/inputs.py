"""Both sides of an evaluation, opened: what a path is taken for, and how each process opens it again.

Knows paths, formats and the forms of results that need the truth to be read.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engine.errors import MugvosError
from engine.evaluation.meta import Meta, find_beside, read_meta
from engine.evaluation.pool import Opener
from engine.evaluation.protocols import PROTOCOLS, usual_protocol
from engine.evaluation.results import annotator_folders, listed_by_truth, open_annotators, repeat_truth, split_by_truth
from engine.evaluation.sources import Masks
from engine.store import open_source
from engine.store.spool import STDIO


@dataclass(frozen=True)
class Inputs:
    """Predictions and truth, the protocol (chosen by the form of the truth where none was named).

    `openers` are how other processes open both again, as long as they are open here.
    """

    predictions: Masks
    truth: Masks
    protocol: str
    openers: tuple[Opener, Opener]


@contextmanager
def open_inputs(
    predictions: str, truth: str, protocol: str | None = None, format: str | None = None, gt_format: str | None = None
) -> Iterator[Inputs]:
    """Open both sides; closed at the end of the block. Raises StoreError or FormatError that say what a path is."""
    with ExitStack() as stack:
        lies: dict[str, str] = {}
        stack.enter_context(_naming_what_was_given(lies))
        true_masks, again = _opened(stack, truth, gt_format, lies)
        sets = annotator_folders(predictions) if protocol == "referring" else []
        if sets:
            found = partial(open_annotators, predictions, sets, format)
            repeated = partial(repeat_truth, again.args[0], sets, true_masks.format)
            yield Inputs(_kept(stack, found), _kept(stack, repeated), protocol or "", (found, repeated))
            return
        masks, opener = _opened(stack, predictions, format, lies)
        path = opener.args[0]
        known: Callable[[], Any] | None = split_by_truth(path, masks, true_masks) if format is None else None
        known = known or listed_by_truth(path, masks, true_masks)
        chosen = protocol or usual_protocol(true_masks)
        masks = _kept(stack, known) if known else masks
        yield Inputs(masks, true_masks, chosen, (known or opener, again))


def meta_of(protocol: str, truth: str, meta: Path | None, unseen: Path | None) -> tuple[Meta, Path | None]:
    """The meta file, named or found beside the truth, as read; and which file it was."""
    rules = PROTOCOLS[protocol]
    path = meta or (find_beside(Path(truth), rules.meta) if rules.meta else None)
    listed = unseen or (find_beside(Path(truth), ("unseen_videos.txt",)) if rules.needs_meta else None)
    return read_meta(path, listed), path


def _opened(stack: ExitStack, path: str, format: str | None, lies: dict[str, str]) -> tuple[Masks, "partial[Any]"]:
    """The source, closed with the stack, and how to open it again. lies: takes the place of what came zipped."""
    source = stack.enter_context(open_source(path, format))
    place = str(getattr(source, "path", path) if path == STDIO else getattr(source, "inner", path))
    if place != path:
        lies[place] = "standard input" if path == STDIO else path
    return source, partial(open_source, place, source.format)


def _kept(stack: ExitStack, opener: Callable[[], Any]) -> Masks:
    """A source, closed with the stack."""
    source = opener()
    stack.callback(source.close)
    masks: Masks = source
    return masks


@contextmanager
def _naming_what_was_given(lies: dict[str, str]) -> Iterator[None]:
    """Errors about temporary files name what the user gave instead. lies: temporary path -> given one."""
    try:
        yield
    except MugvosError as error:
        what = error.what
        for place, given in lies.items():
            what = what.replace(place, given)
        if what == error.what:
            raise
        raise type(error)(what, error.hint) from error
