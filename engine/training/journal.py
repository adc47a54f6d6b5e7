"""What a run writes down while it goes: rows of metrics, TensorBoard events, at checkpoints a picture of the curves.

`<output>.metrics.jsonl` has one JSON object a row: step, loss and iou (smoothed), batch_loss, rate, speed and, where
the step was followed by a validation, its J. A run that goes on from a checkpoint first forgets the rows behind it, so
that no step comes twice. Knows files; knows nothing of models.
"""

import json
import os
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.rendering.files import write_picture
from engine.store import atomic
from engine.store.spool import writing
from engine.training.curves import draw_curves
from engine.training.loop import Progress

_TAGS = {"batch_loss": "loss/step", "loss": "loss/smoothed", "iou": "J/training", "validation": "J/validation"}
_TAGS |= {"rate": "rate", "speed": "clips per second"}


class Journal:
    """The records of one run beside its output; only the process that writes files has one."""

    def __init__(self, output: Path, steps: int, every: int, tensorboard: Path | None = None) -> None:
        """steps: of the run, every: between rows. Raises UsageError where TensorBoard is asked for and not there."""
        self.metrics = output.with_name(f"{output.name}.metrics.jsonl")
        self.curves = output.with_name(f"{output.name}.curves.png")
        self._steps, self._every = steps, every
        self._folder = tensorboard
        self._events: Any = None
        if tensorboard is not None:
            _summary_writer()

    def begin(self, step: int) -> None:
        """Start, or go on behind `step`: later rows are forgotten."""
        kept = [row for row in self.rows() if row["step"] <= step]
        temporary = atomic.temporary_beside(self.metrics)
        with writing(self.metrics):
            temporary.write_text("".join(f"{json.dumps(row)}\n" for row in kept), "utf-8")
        atomic.publish(temporary, self.metrics)
        if self._folder is not None:
            self._events = _summary_writer()(str(self._folder), purge_step=step + 1)

    def rows(self) -> list[dict[str, Any]]:
        """Everything written so far; a last line that a kill cut short is left out."""
        found = []
        if self.metrics.exists():
            for line in self.metrics.read_text("utf-8", errors="replace").splitlines():
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(row, dict) and "step" in row:
                    found.append(row)
        return found

    def note(self, progress: Progress) -> None:
        """Write a row where one is due: every so many steps, at the last one, and for each validation."""
        if progress.step % self._every and progress.validation is None and progress.step < self._steps:
            return
        row: dict[str, Any] = {"step": progress.step}
        for name in _TAGS:
            value = getattr(progress, name)
            if value is not None:
                row[name] = value
        with writing(self.metrics), self.metrics.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(row)}\n")
        if self._events is not None:
            for name, tag in _TAGS.items():
                if name in row:
                    self._events.add_scalar(tag, row[name], progress.step)

    def draw(self) -> None:
        """Bring the picture and the events up to date."""
        rows = self.rows()
        if rows:
            write_picture(draw_curves(rows), self.curves)
        if self._events is not None:
            self._events.flush()

    def close(self) -> None:
        """Draw for the last time."""
        self.draw()
        if self._events is not None:
            self._events.close()


def _summary_writer() -> Any:
    try:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("TensorBoard is not installed", "pip install 'mugvos[tensorboard]'") from error
    return SummaryWriter
