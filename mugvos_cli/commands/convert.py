"""`mugvos convert`: masks from one format to another, and several stores into one."""

from pathlib import Path
from typing import Annotated

import typer

from engine.errors import PartialError, UsageError
from mugvos_cli import console
from mugvos_cli.options import FORMATS, Clip, Overwrite, completing, one_of
from mugvos_cli.targets import refuse_inputs

_SWITCHES = {"flatten": "davis", "predictions": "mugvos", "nested": "pipeline"}
_IN_HELP = "A store, a tree of PNGs, JSON, NDJSON, or -. Several, or a folder of stores, are merged into one."


def convert(
    inputs: Annotated[list[str], typer.Argument(metavar="IN...", help=_IN_HELP)],
    output: Annotated[str, typer.Argument(metavar="OUT", help="File or folder to write; - is standard output.")],
    source_format: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FORMAT",
            help="Format of the input; found out by looking if not given.",
            callback=one_of(FORMATS),
            autocompletion=completing(FORMATS),
        ),
    ] = None,
    target_format: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help=f"One of {', '.join(FORMATS)}; by the name of OUT if not given (.h5, .ndjson).",
            callback=one_of(FORMATS),
            autocompletion=completing(FORMATS),
        ),
    ] = None,
    clip: Clip = None,
    flatten: Annotated[
        bool, typer.Option("--flatten", help="davis: where tracks overlap, the smaller one wins; refused otherwise.")
    ] = False,
    predictions: Annotated[
        bool, typer.Option("--predictions", help="mugvos: the layout of results instead of that of truth.")
    ] = False,
    nested: Annotated[
        bool, typer.Option("--nested", help="pipeline: one file a clip, as its training reads it.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Read masks in one format and write them in another, or merge several stores into one.

    Formats: store (this project's HDF5), mugvos and davis (trees of PNGs), coco, youtube-vis, sa-v, pipeline (JSON),
    ndjson (one line a mask).

    Examples:
      mugvos convert bear.h5 bear-davis --to davis --flatten
      mugvos convert DAVIS/Annotations/480p davis.h5
      mugvos convert shard-*.h5 whole.h5
    """
    from engine.store.merge import expanded

    found = expanded(inputs)
    if len(found) > 1 or found != inputs:
        _refuse_with_several(source_format, target_format, clip, flatten, predictions, nested)
        _merge(found, output, overwrite)
    else:
        more = {"flatten": flatten, "predictions": predictions, "nested": nested}
        _convert(found[0], output, source_format, target_format, clip, overwrite, more)
    console.info(f"wrote {'standard output' if output == '-' else output}")


def _refuse_with_several(
    source_format: str | None, target_format: str | None, clip: list[str] | None, *switches: bool
) -> None:
    if target_format not in (None, "store"):
        raise UsageError("several inputs are merged into a store", "merge them first, then convert the result")
    if source_format or clip or any(switches):
        raise UsageError("these options are for a single input", "convert the inputs one by one, then merge the stores")


def _merge(inputs: list[str], output: str, overwrite: bool) -> None:
    from engine.store import merge_stores

    _refuse_same(inputs, output)
    with console.progress("merging", len(inputs)) as progress:
        missing = merge_stores(inputs, output, overwrite, on_progress=progress).missing()
    if missing:
        raise PartialError(
            f"{output}: made without {' and without '.join(missing)}",
            "make them, then merge all again with --overwrite",
        )


def _convert(
    path: str,
    output: str,
    source_format: str | None,
    target_format: str | None,
    clip: list[str] | None,
    overwrite: bool,
    more: dict[str, bool],
) -> None:
    from engine.store import export, open_source

    _refuse_same([path], output)
    _refuse_in_vain(output, target_format, more)
    with open_source(path, source_format) as source:
        names = clip or list(source.clips)
        with console.progress("converting", len(names)) as progress:
            export(source, output, target_format, clips=names, overwrite=overwrite, on_progress=progress, **more)
        for note in getattr(source, "notes", ()):
            console.warn(note)


def _refuse_in_vain(output: str, target_format: str | None, more: dict[str, bool]) -> None:
    """Switches of another format, and a folder that would be called like a file."""
    from engine.store.export import format_of_suffix

    chosen = target_format or format_of_suffix(Path(output))
    for switch, format in _SWITCHES.items():
        if more[switch] and format != chosen:
            raise UsageError(f"--{switch} is for --to {format}, not {chosen}", "leave it out")
    if Path(output).suffix.lower() == ".zip":
        raise UsageError(f"{output}: zips are read, not written", "name a folder or file, and zip that")


def _refuse_same(inputs: list[str], output: str) -> None:
    """An output that is one of the inputs would be read and replaced at once, and a folder with all that it holds."""
    for path in inputs:
        if "-" not in (path, output) and Path(output).exists() and Path(path).exists() and Path(path).samefile(output):
            raise UsageError(f"{output} is input and output at once", "write to another name")
    refuse_inputs(Path(output), inputs)
