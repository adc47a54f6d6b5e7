"""`mugvos models`: the weights that have a name, fetching them, rewriting checkpoints as safetensors."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mugvos_cli import console
from mugvos_cli.options import Json, Overwrite, model_names

if TYPE_CHECKING:
    from engine.weights import Entry

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def models(ctx: typer.Context, json: Json = False) -> None:
    """List, show, fetch and convert weights. Without a subcommand: list.

    Examples:
      mugvos models
      mugvos models fetch sam-vit-b
      mugvos models convert checkpoint.pth model.safetensors
    """
    if ctx.invoked_subcommand is None:
        _list(json)


@app.command("list")
def list_(json: Json = False) -> None:
    """List the weights that have a name: size, licence, and whether they are on this machine.

    Example:
      mugvos models list --json
    """
    _list(json)


@app.command()
def show(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Names of `mugvos models list`.", autocompletion=model_names)
    ],
) -> None:
    """Say all that is known of some weights: licence, citation, file, size, where to get them, where they are.

    Example:
      mugvos models show sam-vit-b cotracker3
    """
    for number, entry in enumerate([_entry(name) for name in names]):
        described = _described(entry)
        size = described["bytes"]
        rows = {
            "name": entry.name,
            "what": entry.about,
            "licence": entry.licence,
            "citation": entry.citation,
            "file": entry.file,
            "size": "not known before it is fetched" if size is None else console.size(size),
            "from": entry.url or entry.page or "this package",
            "sha256": entry.sha256
            or (f"begins with {entry.sha256_begins}" if entry.sha256_begins else "not published"),
            "here": described["path"] or f"no ({_where(described)})",
        }
        text = "\n".join(f"{key:<9}{value}" for key, value in rows.items())
        console.result(text if number == 0 else f"\n{text}")


@app.command()
def fetch(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Names of `mugvos models list`.", autocompletion=model_names)
    ],
) -> None:
    """Fetch weights by name into the weights folder, checked against their published checksum.

    An interrupted transfer goes on where it stopped. The folder is MUGVOS_WEIGHTS, or the user's cache.

    Example:
      mugvos models fetch sam-vit-b
    """
    for entry in [_entry(name) for name in names]:
        _fetch(entry)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Any checkpoint (.pth, .pt, .safetensors).")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The .safetensors file to write.")],
    overwrite: Overwrite = False,
) -> None:
    """Rewrite a checkpoint as safetensors: tensors only, no code, with the names unchanged.

    IN is a file, or a name of `mugvos models list`. In the weights folder, <name>.safetensors takes the place of the
    published file.

    Example:
      mugvos models convert sam_vit_b_01ec64.pth sam-vit-b.safetensors
    """
    from engine.weights import convert_weights, find_weights

    looks = convert_weights(find_weights(source), output, overwrite)
    console.info(f"wrote {output} (looks like {looks})")


def _list(json: bool) -> None:
    from engine.weights import CATALOGUE, weights_folder

    entries = [_described(entry) for entry in CATALOGUE.values()]
    if json:
        console.emit_json({"schema": 1, "folder": str(weights_folder()), "models": entries})
        return
    rows = [
        (e["name"], "" if e["bytes"] is None else console.size(e["bytes"]), e["licence"], _where(e), e["about"])
        for e in entries
    ]
    console.table(("name", "size", "licence", "where", "what"), rows)


def _described(entry: "Entry") -> dict[str, Any]:
    from engine.weights import place_of

    place = place_of(entry)
    size = place.stat().st_size if place.is_file() else entry.size
    return {
        **{
            key: getattr(entry, key)
            for key in ("name", "kind", "about", "licence", "citation", "url", "page", "sha256")
        },
        "bundled": entry.bundled,
        "bytes": size,
        "path": str(place) if place.is_file() else None,
    }


def _where(described: dict[str, Any]) -> str:
    if described["path"] is None:
        return "missing" if described["bundled"] else "by hand" if described["page"] else "to fetch"
    return "bundled" if described["bundled"] else "here"


def _entry(name: str) -> "Entry":
    from engine.errors import UsageError
    from engine.weights import CATALOGUE

    if name not in CATALOGUE:
        raise UsageError(f"no weights are called {name!r}", f"use one of {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def _fetch(entry: "Entry") -> None:
    from engine.weights import fetch, place_of

    if place_of(entry).is_file():
        console.info(f"{entry.name} is here already")
    else:
        console.info(f"fetching {entry.name}, {console.size(entry.size or 0)}, {entry.licence} ({entry.citation})")
        with console.progress(f"fetching {entry.name}", entry.size, unit="bytes") as progress:
            fetch(entry, progress)
    console.result(str(place_of(entry)))
