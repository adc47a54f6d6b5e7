"""A propagation with DIS flow for the kill tests: says when it works, then works with a small pause a frame."""

import sys
import time
from pathlib import Path

from engine.flow.dis import DISFlow
from engine.propagation.flow import FlowTracker
from engine.propagation.job import Job, write_store
from engine.propagation.prompts import parse_mask_prompt, read_prompts
from engine.video import open_video


def main(video: Path, output: Path, pause: float, *masks: str) -> None:
    def on_frame(index: int) -> None:
        print(index, flush=True)
        time.sleep(pause)

    with open_video(video) as reader:
        prompts = read_prompts(
            [prompt for text in masks for prompt in parse_mask_prompt(text)], (reader.info.height, reader.info.width)
        )
        job = Job(reader, prompts, FlowTracker(DISFlow()), "clip", parameters={"seed": 0}, segment_frames=4)
        write_store(job, output, on_frame=on_frame)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:])
