"""Decides one frame after the other, says each on standard output once it is saved, folds now and then; is killed."""

import sys
from pathlib import Path

from annotation_clips import ANNA, FRAMES, SQUARE, open_project

from engine.annotation import decisions

with open_project(Path(sys.argv[1])) as project:
    number = 0
    while True:
        state = "accepted" if number // FRAMES % 2 == 0 else "rejected"
        frame = number % FRAMES
        entry = project.decide("clip", ANNA, lambda d, f=frame, s=state: decisions.judge(d, SQUARE, [f], s))
        print(entry["seq"], frame, state, flush=True)
        number += 1
        if number % 5 == 0:
            project.fold()
