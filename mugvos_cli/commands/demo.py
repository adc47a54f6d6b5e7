"""`mugvos demo`: the whole chain on a clip that is made on the spot, with the commands it runs shown."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mugvos_cli import console
from mugvos_cli.options import Device

if TYPE_CHECKING:
    from engine.rendering.demo_clip import DemoClip

Folder = Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the files go.")]


def demo(
    output: Folder = Path("mugvos-demo"),
    frames: Annotated[int, typer.Option(min=4, help="Length of the clip.")] = 48,
    device: Device = "auto",
) -> None:
    """Make a clip, carry four masks through it, score the result, draw it.

    Everything works offline with the bundled model. The commands are printed, so that they can be repeated on a video
    of your own. Files of an earlier demonstration in the folder are replaced.

    Example:
        mugvos demo -o mugvos-demo
    """
    from engine.rendering.demo_clip import DemoClip

    tracks, overlay, sheet = (output / name for name in ("tracks.h5", "overlay.mp4", "sheet.png"))
    _make_folder(output)
    clip, truth, masks = _make(DemoClip(frames=frames), output)
    _mugvos("propagate", clip, "--mask", masks, "--device", device, "-o", tracks, "--overwrite")
    _mugvos("evaluate", tracks, "--gt", truth, "--per-track")
    _mugvos("visualize", tracks, "--video", clip, "-o", overlay, "--overwrite")
    _mugvos("visualize", tracks, "--video", clip, "-o", sheet, "--overwrite")
    console.info(f"\nlook at {sheet} and {overlay}; masks are in {tracks}, the truth in {truth}")


def _make_folder(path: Path) -> None:
    from engine.errors import OutputError

    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(f"{path}: is a file, or lies in one", "choose another folder with -o") from error


def _make(clip: "DemoClip", folder: Path) -> tuple[Path, Path, Path]:
    """Write the clip, its true masks as a store, and the masks of frame 0 as PNGs; their paths."""
    import imageio.v3 as iio

    from engine.masks import rle
    from engine.rendering.demo_clip import TRACKS
    from engine.store import StoreWriter
    from engine.video import VideoWriter

    video, truth, first = folder / "clip.mp4", folder / "truth.h5", folder / "first"
    first.mkdir(exist_ok=True)
    records = []
    with VideoWriter(video, 24, clip.width, clip.height) as writer:
        for index, (image, masks) in enumerate(clip.draw()):
            writer.write(image)
            records += [rle.record(index, track, mask) for track, mask in masks.items()]
            for track in TRACKS if index == 0 else ():
                iio.imwrite(first / f"{track.name}.png", masks[track.id].astype("uint8") * 255)
    with StoreWriter(truth, overwrite=True) as store:
        store.add_clip("clip", clip.width, clip.height, clip.frames, TRACKS, records, source=str(video), fps=24)
    return video, truth, first


def _mugvos(*arguments: str | Path) -> None:
    """Show and run one command of this program; end with its status if it fails."""
    from mugvos_cli.main import program

    words = [str(argument) for argument in arguments]
    console.info(f"\n$ mugvos {shlex.join(words)}")
    loudness = ["-q"] if console.settings.quiet else ["-v"] * console.settings.verbosity
    try:
        program().main(words + loudness + (["--debug"] if console.settings.debug else []))
    except SystemExit as end:
        if end.code:
            raise typer.Exit(int(end.code)) from None
