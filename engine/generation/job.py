"""One clip made into a store that survives being killed: frames in, masks out, a point to go on from every few frames.

Knows readers and stores by their interfaces; how masks come about is clip.py's business.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from engine.errors import Interrupted, VideoError
from engine.flow.interface import Flow
from engine.generation.births import ProposalBirths
from engine.generation.clip import RunningClip, Tools
from engine.generation.linking import Linker
from engine.generation.plan import ClipTask
from engine.generation.sampling import PointSampler
from engine.generation.settings import GenerateSettings
from engine.generation.watch import OnFrame
from engine.models.sam.prompting import Prompter
from engine.store import SegmentedRun
from engine.types import Frame, UInt8Array
from engine.video import frame_numbers, open_video
from engine.video.fingerprint import fingerprint


@dataclass(frozen=True)
class Workshop:
    """What all clips of a run are made with. parameters: all that changes a result, beside the clip itself.

    size: (width, height) that frames are resized to, None for their own. segment_frames: at most so many are lost by
    a kill. prompts_at_once: see Linker. on_note: told of things worth knowing that are no errors.
    """

    prompter: Prompter
    flow: Flow
    settings: GenerateSettings
    parameters: Mapping[str, Any]
    size: tuple[int, int] | None = None
    segment_frames: int = 5
    prompts_at_once: int | None = None
    on_note: Callable[[str], None] = lambda note: None

    def clip(self, name: str) -> RunningClip:
        """A clip that begins."""
        linker = Linker(self.prompter, self.settings.link, self.prompts_at_once)
        births = ProposalBirths(self.prompter, self.settings, name, lambda note: self.on_note(f"{name}: {note}"))
        return RunningClip(Tools(self.prompter, linker, self.flow, self.sampler(name), births), self.settings)

    def sampler(self, name: str) -> PointSampler:
        """The point prompts of a clip."""
        s = self.settings
        return PointSampler(s.seed, name, s.points, s.prompts, s.method)

    def resized(self, image: UInt8Array) -> UInt8Array:
        """A frame at the size that is worked with."""
        if self.size is None or image.shape[1::-1] == self.size:
            return image
        return np.asarray(cv2.resize(image, self.size, interpolation=cv2.INTER_LINEAR), np.uint8)


def make_clip(
    task: ClipTask,
    workshop: Workshop,
    output: Path,
    on_frame: OnFrame | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Write the clip's store to `output`, or go on with what a killed run left beside it; the number of its frames.

    on_frame: told frames done and in all (None: not known). should_stop: asked after each frame; a yes makes the work
    certain, then raises Interrupted. Raises the errors of the reader and of the store.
    """
    parameters = {**workshop.parameters, "clip": task.as_dict(), "video": fingerprint(task.source)}
    with open_video(task.source) as video, SegmentedRun(output, parameters, overwrite=True) as run:
        numbers = frame_numbers(video)
        total = _length(task, video.info.frame_count)
        clip, times = workshop.clip(task.name), list[float]()
        if run.state is not None:
            clip.load_state(run.state["clip"])
            times = np.asarray(run.state["times"]).tolist()
        shape = (video.info.height, video.info.width) if workshop.size is None else workshop.size[::-1]
        for index, frame in _from(video.frames(task.start + max(len(times) - 1, 0), task.stop), len(times)):
            image = workshop.resized(frame.image)
            if index < len(times):
                clip.resume(image)
                continue
            number = frame.index if numbers is None else numbers[frame.index]
            run.append(number, clip.step(index, number, image))
            times.append(math.nan if frame.time is None else frame.time)
            if on_frame is not None:
                on_frame(index + 1, total)
            stop = should_stop()
            if stop or (index + 1) % workshop.segment_frames == 0:
                run.checkpoint({"clip": clip.state(), "times": np.array(times)}, clip.tracks())
            if stop:
                raise Interrupted
        if not times:
            raise VideoError(f"{task.source}: no frames in it", "check the video")
        indices = range(task.start, task.start + len(times))
        run.finish(
            task.name,
            shape[1],
            shape[0],
            len(times),
            tracks=clip.tracks(),
            source=video.info.source,
            fps=video.info.fps,
            provenance={"command": "generate", **parameters},
            frames=[index if numbers is None else numbers[index] for index in indices],
            times=times,
        )
    return len(times)


def _from(frames: Iterator[Frame], done: int) -> Iterator[tuple[int, Frame]]:
    """Frames with their index in the clip; where some are done, the last of these comes first."""
    return enumerate(frames, max(done - 1, 0))


def _length(task: ClipTask, frame_count: int | None) -> int | None:
    if task.stop is not None:
        return task.stop - task.start
    return None if frame_count is None else frame_count - task.start
