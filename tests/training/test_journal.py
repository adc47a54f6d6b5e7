"""The records of a run: rows without repetition, a picture whose curves lie where the numbers say, events read back."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import UsageError
from engine.training import curves
from engine.training.curves import _BLUE, _ORANGE, draw_curves
from engine.training.journal import Journal
from engine.training.loop import Progress
from engine.video import read_image


def progress(step: int, validation: float | None = None) -> Progress:
    return Progress(step, 2.0 / step, step / 100, 1e-3, 2.5 / step, validation, speed=7.0, left=1.0)


def steps(journal: Journal) -> list[int]:
    return [row["step"] for row in journal.rows()]


def test_rows_at_their_interval_at_validations_and_at_the_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w.safetensors", 25, 10)
    journal.begin(0)
    for step in range(1, 26):
        journal.note(progress(step, 0.5 if step == 13 else None))
    assert steps(journal) == [10, 13, 20, 25]
    rows = journal.rows()
    assert rows[1] == {
        "step": 13,
        "loss": 2 / 13,
        "iou": 0.13,
        "batch_loss": 2.5 / 13,
        "validation": 0.5,
        "rate": 1e-3,
        "speed": 7.0,
    }
    assert "validation" not in rows[0]
    journal.close()
    assert read_image(journal.curves).shape[1] == curves.WIDTH


def test_a_resumed_run_repeats_no_step(tmp_path: Path) -> None:
    output = tmp_path / "w.safetensors"
    journal = Journal(output, 100, 1)
    journal.begin(0)
    for step in range(1, 8):
        journal.note(progress(step))
    with journal.metrics.open("a") as file:
        file.write('{"step": 8, "lo')
    again = Journal(output, 100, 1)
    again.begin(5)
    assert steps(again) == [1, 2, 3, 4, 5]
    for step in range(6, 10):
        again.note(progress(step))
    assert steps(again) == list(range(1, 10))
    fresh = Journal(output, 100, 1)
    fresh.begin(0)
    assert steps(fresh) == []


def columns_of(image: np.ndarray, colour: tuple[int, int, int], top: int) -> dict[int, int]:
    """Lowest row of a colour in each column of one panel."""
    panel = image[top : top + curves.PANEL + 1]
    ys, xs = np.nonzero((panel == colour).all(2))
    return {int(x): int(y) for y, x in sorted(zip(ys, xs, strict=True))}


def test_curves_lie_where_the_numbers_say() -> None:
    rows = [{"step": step, "loss": 4.0 - step / 50, "iou": step / 100, "rate": 1e-3} for step in range(1, 101)]
    rows[49]["validation"] = 0.25
    image = draw_curves(rows)
    left, right = curves.LEFT, curves.WIDTH - curves.RIGHT
    middle = (left + right) // 2
    second = curves.TOP + curves.PANEL + curves.GAP
    loss = columns_of(image, _BLUE, curves.TOP)
    assert loss[middle] == pytest.approx(curves.PANEL * (1 - 3 / 3.98), abs=4)
    similarity = columns_of(image, _BLUE, second)
    assert similarity[middle] == pytest.approx(curves.PANEL / 2, abs=4)
    dot = columns_of(image, _ORANGE, second)
    assert np.mean(list(dot)) == pytest.approx(middle, abs=3)
    assert np.mean(list(dot.values())) == pytest.approx(0.75 * curves.PANEL, abs=4)


def test_rates_over_more_than_a_factor_of_ten_are_drawn_in_logarithms() -> None:
    axis = curves._Axis([1e-5, 1e-3], None, 100, 0)
    assert axis.logarithmic
    assert axis.pixel(1e-4) == pytest.approx(50)
    assert axis.ticks() == pytest.approx([1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3])
    plain = curves._Axis([0.0, 3.1], None, 100, 0)
    assert not plain.logarithmic
    assert plain.ticks() == [0, 1, 2, 3]
    assert curves._Axis([], None, 0, 1).ticks()
    assert draw_curves([{"step": 1, "loss": 0.0, "iou": float("nan"), "rate": 0.0}]).any()


def test_without_tensorboard_the_hint_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"TensorBoard is not installed: pip install 'mugvos\[tensorboard\]'"):
        Journal(tmp_path / "w.safetensors", 9, 1, tmp_path / "events")


def test_events_can_be_read_back(tmp_path: Path) -> None:
    events: Any = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = tmp_path / "events"
    first = Journal(tmp_path / "w.safetensors", 9, 1, folder)
    first.begin(0)
    for step in range(1, 5):
        first.note(progress(step))
    first.draw()
    second = Journal(tmp_path / "w.safetensors", 9, 1, folder)
    second.begin(2)
    for step in range(3, 10):
        second.note(progress(step, 0.5 if step == 9 else None))
    second.close()
    first.close()
    read = events.EventAccumulator(str(folder))
    read.Reload()
    losses = read.Scalars("loss/smoothed")
    assert [event.step for event in losses] == list(range(1, 10))
    assert losses[3].value == pytest.approx(0.5)
    assert [event.value for event in read.Scalars("J/validation")] == [0.5]
