"""The options of `mugvos propagate` that choose what is tracked, how it is read, and how models around SAM work.

Alphabetical within both groups. Knows names and help texts; what they mean is the engine's business.
"""

from pathlib import Path
from typing import Annotated

import typer

from mugvos_cli.options import completing, one_of

AREAS = ("exact", "modulo")
DECODERS = ("auto", "cpu", "cuda")
FLOWS = ("dis", "raft-small", "raft-large")
FORMS = ("video", "image")
POINT_TRACKERS = ("flow", "cotracker1", "cotracker2", "cotracker3")
SAMS = ("sam-tiny", "sam-vit-b", "sam-vit-l", "sam-vit-h")

Box = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        metavar="[NAME=]X0,Y0,X1,Y1[@FRAME]",
        help="The object's box in pixels, on frame FRAME (default 0); SAM finds its mask. May be repeated.",
    ),
]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile", help="Compile the image encoder: seconds to minutes at the start, and faster from there on."
    ),
]
Decode = Annotated[
    str,
    typer.Option(
        "--decode",
        metavar="|".join(DECODERS),
        help="What decodes a video file; auto is cpu, cuda needs torchcodec.",
        callback=one_of(DECODERS),
        autocompletion=completing(DECODERS),
    ),
]
Graphs = Annotated[bool, typer.Option("--graphs", help="CUDA: record the image encoder once, then replay it.")]
Live = Annotated[
    bool,
    typer.Option(
        "--live", help="Keep up with a pipe: frames are dropped rather than queued. Cameras are always read so."
    ),
]
Mask = Annotated[
    list[str] | None,
    typer.Option(
        "--mask",
        metavar="[NAME=]PATH[@FRAME]",
        help="Mask image, label map or folder of masks, on frame FRAME (default 0); or a store (or -), all its tracks "
        "from their first masks on. May be repeated, may overlap.",
    ),
]
MemoryLimit = Annotated[
    str | None,
    typer.Option(
        "--memory-limit",
        metavar="SIZE",
        help="Memory to get along with, such as 4GiB: of this process, or of the CUDA device.",
        envvar="MUGVOS_MEMORY_LIMIT",
    ),
]
Point = Annotated[
    list[str] | None,
    typer.Option(
        "--point",
        metavar="[NAME=]X,Y[,-][@FRAME]",
        help="A pixel of the object, with ,- one beside it; SAM finds the mask for all points of a name and frame.",
    ),
]
Profile = Annotated[
    Path | None,
    typer.Option(
        "--profile", metavar="FILE", help="Write a Chrome trace of the run there, and print where the time went."
    ),
]
Raw = Annotated[
    str | None,
    typer.Option(
        "--raw",
        metavar="WxH[@FPS][:FORMAT]",
        help="The pipe holds raw pictures: 640x480@30:yuv420p; 25 and rgb24 where not said.",
    ),
]
Sam = Annotated[
    str,
    typer.Option(
        "--sam",
        metavar="NAME|FILE",
        help="The SAM that answers points and boxes, and that sam-iou, persam, persam-f and sam-pt ask.",
        envvar="MUGVOS_SAM",
        autocompletion=completing(SAMS),
    ),
]

Flow = Annotated[
    str,
    typer.Option(
        "--flow",
        metavar="|".join(FLOWS),
        help="sam-pt: the optical flow that carries points.",
        callback=one_of(FLOWS),
        autocompletion=completing(FLOWS),
    ),
]
Form = Annotated[
    str,
    typer.Option(
        "--form",
        metavar="|".join(FORMS),
        help="persam, persam-f: their form for videos, or for pictures (every frame on its own).",
        callback=one_of(FORMS),
        autocompletion=completing(FORMS),
    ),
]
Grid = Annotated[
    int, typer.Option("--grid", min=1, metavar="N", help="sam-iou, --detect-every: points on each side of SAM's grid.")
]
IoUThreshold = Annotated[
    float | None,
    typer.Option(
        "--iou-threshold", metavar="X", help="sam-pt: predicted IoU below which a mask is given up; default: the SAM's."
    ),
]
LargeArea = Annotated[
    str,
    typer.Option(
        "--large-area",
        metavar="|".join(AREAS),
        help="persam: the largest of three masks by its area, or by its area modulo 256 as published.",
        callback=one_of(AREAS),
        autocompletion=completing(AREAS),
    ),
]
NegativePoints = Annotated[
    int, typer.Option("--negative-points", min=0, metavar="N", help="sam-pt: points tracked beside each object.")
]
PointTracker = Annotated[
    str,
    typer.Option(
        "--point-tracker",
        metavar="|".join(POINT_TRACKERS),
        help="sam-pt: what follows points; CoTracker needs its code and weights.",
        callback=one_of(POINT_TRACKERS),
        autocompletion=completing(POINT_TRACKERS),
    ),
]
PositivePoints = Annotated[
    int, typer.Option("--positive-points", min=1, metavar="N", help="sam-pt: points tracked on each object.")
]
Refinements = Annotated[
    int | None,
    typer.Option("--refinements", min=0, metavar="N", help="sam-pt: rounds of asking again; default: the SAM's."),
]
