"""Every kind of prompt against segment-anything's recorded answers."""

import numpy as np
import pytest
import torch
from sam_golden import case, golden_sam

from engine.models.sam.asking import Answers, Asker, Question
from engine.models.sam.boxes import centres, tight_boxes, widened
from engine.models.sam.config import CONFIGS
from engine.models.sam.network import build_sam
from engine.models.sam.prompting import Embedding, Prompter

THREE, SINGLE = slice(1, None), slice(1)


@pytest.fixture(scope="module")
def core() -> dict[str, np.ndarray]:
    return case("core")


@pytest.fixture(scope="module")
def asker() -> Asker:
    return Asker(Prompter(golden_sam()))


@pytest.fixture(scope="module")
def embedding(core: dict[str, np.ndarray], asker: Asker) -> Embedding:
    return asker.prompter.embed(core["image"])


def check(core: dict[str, np.ndarray], name: str, answers: Answers, which: slice) -> None:
    assert np.allclose(answers.logits[:, which, ::2, ::2], core[f"{name}_low"], atol=5e-3)
    assert np.allclose(answers.scores[:, which], core[f"{name}_iou"], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "parts", "first", "which"),
    [
        ("points", "p", None, THREE),
        ("box", "b", None, THREE),
        ("points_box", "pb", None, THREE),
        ("points_mask", "pm", 1, THREE),
        ("points_box_mask_single", "pbm", 1, SINGLE),
    ],
)
def test_recorded_answers(
    core: dict[str, np.ndarray],
    asker: Asker,
    embedding: Embedding,
    name: str,
    parts: str,
    first: int | None,
    which: slice,
) -> None:
    question = Question(
        core["points"][:first] if "p" in parts else None,
        core["labels"][:first] if "p" in parts else None,
        core["boxes"][:first] if "b" in parts else None,
        torch.from_numpy(core["mask_input"][0]) if "m" in parts else None,
    )
    check(core, name, asker.ask(embedding, question), which)


def test_a_prompt_of_no_points_is_not_the_absence_of_a_prompt(
    core: dict[str, np.ndarray], asker: Asker, embedding: Embedding
) -> None:
    nothing = Question(np.zeros((1, 0, 2)), np.zeros((1, 0), np.int64))
    check(core, "no_points", asker.ask(embedding, nothing), SINGLE)


def test_many_prompts_are_answered_in_passes(core: dict[str, np.ndarray], asker: Asker, embedding: Embedding) -> None:
    points, labels = np.tile(core["points"], (5, 1, 1)), np.tile(core["labels"], (5, 1))
    answers = asker.ask(embedding, Question(points, labels))
    assert answers.logits.shape == (20, 4, 64, 64)
    check(core, "points", Answers(answers.logits[16:], answers.scores[16:]), THREE)
    low, scores = answers.best()
    assert torch.equal(scores, answers.scores[:, 1:].amax(1))
    chosen = int(answers.scores[3, 1:].argmax()) + 1
    assert torch.equal(low[3], answers.logits[3, chosen])
    assert asker.ask(embedding, Question(points[:0], labels[:0])).logits.shape == (0, 4, 64, 64)


def test_our_own_sam_takes_every_prompt() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        asker = Asker(Prompter(build_sam(CONFIGS["sam-tiny"]).eval()))
    embedding = asker.prompter.embed(np.random.default_rng(0).integers(0, 255, (60, 90, 3)).astype(np.uint8))
    points, labels, boxes = np.array([[[40.0, 20.0]]]), np.array([[1]]), np.array([[10.0, 5, 80, 50]])
    first = asker.ask(embedding, Question(points, labels))
    again = asker.ask(embedding, Question(points, labels).shown(first.logits[:, 0], boxes))
    none = asker.ask(embedding, Question(points[:, :0], labels[:, :0], None, first.logits[:, 0]))
    for answers in (first, again, none):
        assert answers.logits.shape[:2] == (1, 4) and bool(torch.isfinite(answers.logits).all())
    assert not torch.equal(first.logits, again.logits)


def test_boxes_of_masks() -> None:
    masks = torch.zeros(3, 20, 30, dtype=torch.bool)
    masks[0, 4:9, 6:20] = True
    masks[2, 19, 29] = True
    boxes, found = tight_boxes(masks)
    assert boxes.tolist() == [[6, 4, 19, 8], [0, 0, 0, 0], [29, 19, 29, 19]]
    assert found.tolist() == [True, False, True]
    wide = widened(boxes, 10, (20, 30))
    assert wide[[0, 2]].tolist() == [[0, 0, 29, 18], [19, 9, 30, 20]]
    assert centres(wide)[[0, 2]].tolist() == [[14, 9], [24, 14]]
