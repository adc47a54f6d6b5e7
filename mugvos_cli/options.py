"""Every option that more than one command has, defined once, and the checks that turn text into values.

Alphabetical: Clip, Debug, Device, Format, Jobs, Json, Model, Ndjson, Output, Overwrite, Precision, Quiet, Seed,
Verbose, Video. Each shared option also reads MUGVOS_<NAME> from the environment and <name> from mugvos.toml (see
config.py).
Knows nothing of what the commands do.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from mugvos_cli import console

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
FORMATS = ("store", "mugvos", "davis", "coco", "youtube-vis", "sa-v", "pipeline", "ndjson")


def check_device(value: str) -> str:
    """ "auto", "cpu", "mps", "cuda" or "cuda:N"; whether the machine has it is found out when it is used."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
        raise typer.BadParameter(f"{value!r} is no device: use auto, cpu, cuda, cuda:N or mps")
    return value


def one_of(names: tuple[str, ...]) -> Callable[[str | None], str | None]:
    """A check that a value is one of `names` (or not given)."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in names:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(names)}")
        return value

    return check


def completing(names: tuple[str, ...]) -> Callable[[str], list[str]]:
    """What the shell offers for an option with these values."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


def _set_quiet(value: bool) -> bool:
    console.settings.quiet = value or console.settings.quiet
    return value


def _set_verbosity(value: int) -> int:
    console.settings.verbosity = max(value, console.settings.verbosity)
    return value


def _set_debug(value: bool) -> bool:
    console.settings.debug = value or console.settings.debug
    return value


def model_names(incomplete: str) -> list[str]:
    """The names of the catalogue that begin so."""
    from engine.weights import CATALOGUE

    return completing(tuple(CATALOGUE))(incomplete)


def _shared(*names: str, help: str, **more: Any) -> Any:
    """One shared option: the environment variable is named after its long flag."""
    long = next(name for name in names if name.startswith("--")).split("/")[0]
    return typer.Option(*names, help=help, envvar=f"MUGVOS_{long[2:].replace('-', '_').upper()}", **more)


Clip = Annotated[list[str] | None, typer.Option("--clip", metavar="NAME", help="Only this clip; may be repeated.")]

Debug = Annotated[
    bool, _shared("--debug", help="Show the traceback of an error.", callback=_set_debug, show_envvar=False)
]

Device = Annotated[
    str,
    _shared(
        "--device",
        metavar="auto|cpu|cuda|cuda:N|mps",
        help="Where to compute.",
        callback=check_device,
        autocompletion=completing(DEVICES),
    ),
]

Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="|".join(FORMATS),
        help="Format of the masks; found out from the file if not given.",
        callback=one_of(FORMATS),
        autocompletion=completing(FORMATS),
    ),
]

Jobs = Annotated[int, _shared("--jobs", "-j", metavar="N", min=0, help="Processes at once; 0: one for each core.")]

Json = Annotated[bool, _shared("--json", help="Print one JSON document on standard output.", show_envvar=False)]

Model = Annotated[
    str,
    _shared(
        "--model",
        "-m",
        metavar="NAME|FILE",
        help="A model of `mugvos models`, or a file of weights.",
        autocompletion=model_names,
    ),
]

Ndjson = Annotated[
    bool,
    typer.Option("--ndjson", help="Print one JSON line for each mask on standard output as soon as it is known."),
]

Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write; - is standard output.")
]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")]

Precision = Annotated[
    str,
    _shared(
        "--precision",
        metavar="|".join(PRECISIONS),
        help="Arithmetic of the network.",
        callback=one_of(PRECISIONS),
        autocompletion=completing(PRECISIONS),
    ),
]

Quiet = Annotated[
    bool, _shared("--quiet", "-q", help="Only warnings and errors.", callback=_set_quiet, show_envvar=False)
]

Seed = Annotated[int, _shared("--seed", metavar="N", min=0, help="Every random decision follows from this number.")]

Verbose = Annotated[
    int,
    _shared(
        "--verbose",
        "-v",
        count=True,
        metavar="",
        show_default=False,
        help="Say more; -vv says most.",
        callback=_set_verbosity,
        show_envvar=False,
    ),
]

Video = Annotated[
    str | None,
    typer.Option("--video", metavar="VIDEO", help="File, folder of images, glob, list of images (.txt), or -."),
]


def common(quiet: Quiet = False, verbose: Verbose = 0, debug: Debug = False) -> None:
    """The options that every command has; main.py adds them, so that no command needs to declare them."""
