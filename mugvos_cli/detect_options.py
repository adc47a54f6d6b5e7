"""The options of `mugvos propagate` that are about finding objects (DEVA with detections)."""

from typing import Annotated

import typer

DetectEvery = Annotated[
    int | None,
    typer.Option(
        "--detect-every",
        min=1,
        metavar="FRAMES",
        help="With --model deva and no masks: ask SAM for objects every so many frames, and follow what it finds.",
    ),
]
Voting = Annotated[
    int,
    typer.Option(min=1, metavar="FRAMES", help="--detect-every: frames in a row that have to agree; 1 for no vote."),
]
MaxMissed = Annotated[
    int,
    typer.Option(min=0, metavar="TIMES", help="--detect-every: an object that is missed more often in a row ends."),
]
MaxObjects = Annotated[
    int,
    typer.Option(min=1, help="--detect-every: what is found is ignored where it would make more objects than this."),
]
LargeFirst = Annotated[
    bool,
    typer.Option("--large-first", help="--detect-every: where proposals overlap the larger one wins, not the smaller."),
]
