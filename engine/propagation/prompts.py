"""From masks that a user names to masks by frame and track.

`[NAME=]PATH[@FRAME]`: an image, or a folder of images or of track folders (the MUG-VOS layout, whose first image is
taken), or a file with tracks (stored.py). An image with one object makes one track, named after the file; a label map
makes a track for each label. On later frames a known name corrects that track, a new one begins a track.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from engine.errors import MaskError
from engine.masks import rle
from engine.names import encoded, natural_key
from engine.propagation.stored import is_stdin, is_stored, stored_masks
from engine.store.formats.png import read_mask_image
from engine.types import BoolArray, PointPrompt, Track
from engine.video.stills import STILL_SUFFIXES

_NAMED = re.compile(r"(?P<name>[^=/\\]+)=(?P<rest>.+)", re.DOTALL)
_FRAMED = re.compile(r"(?P<rest>.+)@(?P<frame>[0-9]{1,9})", re.DOTALL)
_SUFFIXES = STILL_SUFFIXES | {".gif"}
_ONE_OBJECT = 255


@dataclass(frozen=True)
class MaskPrompt:
    """One mask file given on one frame (number); `name` where the user chose one.

    frame: None for a file with tracks means the first mask of each of them.
    """

    path: Path
    frame: int | None = 0
    name: str | None = None


@dataclass
class PromptSet:
    """Tracks, and their masks by frame number and track id.

    points: what was asked where a mask is an answer to points. origins: what such a mask follows from, for the digest.
    """

    tracks: list[Track] = field(default_factory=list)
    masks: dict[int, dict[int, BoolArray]] = field(default_factory=dict)
    points: dict[tuple[int, int], tuple[PointPrompt, ...]] = field(default_factory=dict)
    origins: dict[tuple[int, int], str] = field(default_factory=dict)

    def give(self, name: str, frame: int, mask: BoolArray, source: object, label: int = _ONE_OBJECT) -> int:
        """A mask of the track called so, which begins with it if it is new; returns its id.

        A new track gets its label as id where that is free. Raises MaskError, naming `source`, where the track has a
        mask on this frame.
        """
        at = next((at for at, track in enumerate(self.tracks) if track.name == name), None)
        if at is None:
            at = len(self.tracks)
            self.tracks.append(Track(_free_id(label, {track.id for track in self.tracks}), name, frame))
        track = self.tracks[at] = replace(self.tracks[at], first_frame=min(frame, self.tracks[at].first_frame))
        given = self.masks.setdefault(frame, {})
        if track.id in given:
            raise MaskError(
                f"{source}: frame {frame} has a mask of track {name!r} already",
                "give each its own name: --mask NAME=FILE",
            )
        given[track.id] = mask
        return track.id

    def place(self, places: Mapping[int, tuple[int, int]]) -> None:
        """Parents and levels in the granularity tree, by track id, for those that have no place in it."""
        self.tracks = [
            replace(track, parent=places[track.id][0], level=places[track.id][1])
            if track.id in places and track.parent is None
            else track
            for track in self.tracks
        ]

    def named(self, frame: int) -> set[str]:
        """The tracks that have a mask on a frame."""
        return {track.name for track in self.tracks if track.id in self.masks.get(frame, {})}

    def digest(self) -> str:
        """A hash of all names, frames and pixels: two runs with equal digests were asked for the same.

        Masks that a network made from something count by what they were made from, not by their pixels.
        """
        state = sha256()
        for track in self.tracks:
            state.update(encoded(f"{track.id}\x1f{track.name}\x1e"))
        for frame, given in sorted(self.masks.items()):
            for track_id, mask in sorted(given.items()):
                origin = self.origins.get((frame, track_id))
                content = rle.encode(mask) if origin is None else encoded(origin)
                state.update(f"{frame}\x1f{track_id}\x1f{mask.shape}\x1e".encode() + content)
        return state.hexdigest()[:16]


def parse_mask_prompt(text: str) -> list[MaskPrompt]:
    """The mask files that `[NAME=]PATH[@FRAME]` means; where `=` and `@` may belong to the path, what exists wins.

    Raises MaskError where there is no such file or a folder holds no masks.
    """
    if not text.strip():
        raise MaskError("an empty path is no mask file", "check the path given to --mask")
    readings = list(_readings(text))
    path, frame, name = next((it for it in readings if is_stdin(it[0]) or it[0].exists()), readings[-1])
    if path.is_dir():
        if name is not None:
            raise MaskError(f"{text}: a folder makes several tracks, they cannot all be called {name}")
        return [MaskPrompt(file, frame or 0, called) for file, called in _in_folder(path)]
    if not (is_stdin(path) or path.is_file()):
        raise MaskError(f"{path}: no such mask file", "check the path given to --mask")
    return [MaskPrompt(path, frame if is_stored(path) else frame or 0, name)]


def read_prompts(
    prompts: Sequence[MaskPrompt], size: tuple[int, int], binarize: bool = False, video: str = ""
) -> PromptSet:
    """Read all mask files. size: (height, width) of the video, which every mask must have; video: its name.

    Raises MaskError naming the file: another size, empty, smoothed, colour, too many labels, a name given twice.
    """
    collected = PromptSet()
    for prompt in sorted(prompts, key=lambda prompt: prompt.frame or 0):
        if is_stored(prompt.path):
            _take_over(collected, prompt, size, video)
        else:
            _read_image(collected, prompt, size, binarize)
    return collected


def _read_image(collected: PromptSet, prompt: MaskPrompt, size: tuple[int, int], binarize: bool) -> None:
    """Every object of an image."""
    objects, frame = read_mask_image(prompt.path, binarize), prompt.frame or 0
    _check_size(prompt.path, objects, size)
    for label, mask in objects.items():
        name = _track_name(prompt, label, len(objects) > 1, collected.named(frame))
        collected.give(name, frame, mask, prompt.path, label)


def _take_over(collected: PromptSet, prompt: MaskPrompt, size: tuple[int, int], video: str) -> None:
    """Every track of a file, by its own name, or by the chosen one and its own."""
    found = stored_masks(prompt.path, video, prompt.frame)
    _check_size(prompt.path, {one.track.id: one.mask for one in found}, size)
    taken: dict[int, int] = {}
    for track, frame, mask in found:
        own = track.name
        name = own if prompt.name is None else prompt.name if len(found) == 1 else f"{prompt.name}:{own}"
        taken[track.id] = collected.give(name, frame, mask, prompt.path, track.id)
    collected.place({taken[t.id]: (taken[t.parent], t.level) for t, _, _ in found if t.parent in taken})


def _readings(text: str) -> Iterator[tuple[Path, int | None, str | None]]:
    """(path, frame where one is said, name) in every way the text can be meant, the plainest first."""
    for whole in (text, _FRAMED.fullmatch(text)):
        if whole is None:
            continue
        rest, frame = (whole, None) if isinstance(whole, str) else (whole["rest"], int(whole["frame"]))
        yield _at_home(rest), frame, None
        if named := _NAMED.fullmatch(rest):
            yield _at_home(named["rest"]), frame, named["name"]


def _at_home(text: str) -> Path:
    """A path with ~ meaning what it means in a shell: what names nobody's folder stays as it is."""
    try:
        return Path(text).expanduser()
    except (RuntimeError, ValueError):
        return Path(text)


def _track_name(prompt: MaskPrompt, label: int, several: bool, there: Collection[str]) -> str:
    """The label of a label map, else the chosen name or the file's; the file's name before a label that is taken."""
    if not several:
        return prompt.name or prompt.path.stem
    plain = str(label)
    taken = prompt.name is not None or plain in there
    return f"{prompt.name or prompt.path.stem}:{label}" if taken else plain


def _free_id(label: int, used: set[int]) -> int:
    """The label itself, so that label maps keep their numbers; else the next free number. 255 just means object."""
    if label != _ONE_OBJECT and label not in used:
        return label
    return next(number for number in range(1, len(used) + 2) if number not in used)


def _in_folder(folder: Path) -> list[tuple[Path, str]]:
    """(file, track name) of the images of a folder, or of the first image of each of its folders."""
    entries = sorted(folder.iterdir(), key=lambda entry: natural_key(entry.name))
    files = [(entry, entry.stem) for entry in entries if _is_mask(entry)]
    if len(files) > 1 and all(re.fullmatch(r"0[0-9]+|[0-9]{3,}", name) for _, name in files):
        raise MaskError(
            f"{folder}: its images are named like frames ({files[0][1]}, {files[1][1]}, ...), not like objects",
            f"name the mask of one frame, such as {files[0][0]}, or give the images the names of objects",
        )
    for entry in entries if not files else ():
        images = [file for file in entry.iterdir() if _is_mask(file)] if entry.is_dir() else []
        if images:
            files.append((min(images, key=lambda file: natural_key(file.name)), entry.name))
    if not files:
        raise MaskError(f"{folder}: no mask images in it", "name a folder of PNGs, or of one folder a track")
    return files


def _is_mask(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")


def _check_size(path: Path, objects: dict[int, BoolArray], size: tuple[int, int]) -> None:
    height, width = next(iter(objects.values())).shape
    if (height, width) != size:
        raise MaskError(
            f"{path}: the mask is {width}x{height}, the video {size[1]}x{size[0]}",
            "export the mask at the video's size, without smoothing",
        )
