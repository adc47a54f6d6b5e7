"""The options of `mugvos propagate` that are about sentences."""

from pathlib import Path
from typing import Annotated

import typer

Text = Annotated[
    list[str] | None,
    typer.Option(
        "--text", metavar="SENTENCE", help="What to look for, in every frame (SgMg); may be repeated, one track each."
    ),
]
Then = Annotated[
    str | None,
    typer.Option(
        "--then",
        metavar="NAME|FILE",
        help="After --text: carry the best frame's mask both ways with this model; mmpm is the bundled one.",
    ),
]
TextEncoder = Annotated[
    Path | None,
    typer.Option(
        "--text-encoder",
        metavar="FOLDER",
        help="Folder with roberta-base's vocab.json and merges.txt (or tokenizer.json); default: Hugging Face's cache.",
        envvar="MUGVOS_TEXT_ENCODER",
    ),
]
RawText = Annotated[
    bool, typer.Option("--raw-text", help="Leave capitals and spaces of --text alone, as published benchmarks do.")
]
Window = Annotated[
    int,
    typer.Option(min=1, metavar="FRAMES", help="Frames that --text answers together; a killed run loses one window."),
]
ShortSide = Annotated[
    int | None,
    typer.Option(
        min=129, metavar="PIXELS", help="Short side of what --text, xmem and deva look at; default: the model's."
    ),
]
