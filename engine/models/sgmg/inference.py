"""A clip and any number of sentences, answered: one query a sentence, its mask in every frame.

Frames of the clip pass the backbone together, the rest in groups, so memory is bounded by the clip's maps. What does
not depend on a sentence is computed once. Knows tensors; knows no files and no time beyond the clip.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.sgmg.network import Seen, SgMg, features_of, rows_of
from engine.models.sgmg.preprocess import LOADER_MULTIPLE, VIDEO_MULTIPLE, padded
from engine.models.sgmg.text import TextFeatures
from engine.runtime.precision import autocast

FRAMES_AT_ONCE = 4


class Answer(NamedTuple):
    """One sentence in a clip of T frames.

    query: the chosen one. means: (Q,) scores of all queries in [0, 1], means over the clip. scores: (T,), the chosen
    query's in each frame. boxes: (T, 4), cx, cy, w, h in [0, 1]. logits: (T, h, w) at the size of the input, object
    where positive.
    """

    query: int
    means: Tensor
    scores: Tensor
    boxes: Tensor
    logits: Tensor


class Guess(NamedTuple):
    """One query of a single annotated frame: its score in [0, 1], box (4,) and logits (h, w) as in `Answer`."""

    score: float
    box: Tensor
    logits: Tensor


@torch.inference_mode()
def answer_clip(
    network: SgMg,
    clip: Tensor,
    text: TextFeatures,
    dtype: torch.dtype = torch.float32,
    at_once: int = FRAMES_AT_ONCE,
    on_share: Callable[[float], None] = lambda share: None,
) -> list[Answer]:
    """clip: (T, 3, h, w), normalised, on the network's device; one answer for each row of `text`, in order.

    at_once: frames a group. on_share: told the share of the work that is done, after each group.
    """
    size = clip.shape[2], clip.shape[3]
    sentences, groups, done = len(text.sentence), -(-len(clip) // at_once), 0

    def advance() -> None:
        nonlocal done
        done += 1
        on_share(done / (groups * (1 + sentences)))

    with autocast(clip.device, dtype):
        looked = []
        for seen in _look(network, clip, at_once):
            looked.append(seen)
            advance()
        rows = [text.rows(torch.tensor([row], device=clip.device)) for row in range(sentences)]
        return [_answer(network, looked, row, size, advance) for row in rows]


def _look(network: SgMg, clip: Tensor, at_once: int) -> Iterator[Seen]:
    """The clip through the backbone in one piece, the rest in groups of frames."""
    batch, padding = padded([clip], VIDEO_MULTIPLE)
    maps = network.swin(batch)
    for start in range(0, len(clip), at_once):
        frames = slice(start, start + at_once)
        yield network.look([plane[frames] for plane in maps], padding[0, frames])


def _answer(
    network: SgMg, groups: list[Seen], text: TextFeatures, size: tuple[int, int], advance: Callable[[], None]
) -> Answer:
    """Look for one sentence in all groups of frames, choose the query, refine its masks."""
    chances, boxes, patches = [], [], []
    for seen in groups:
        frames = len(seen.map4)
        decoded = network.refer(seen, text.rows(torch.zeros(frames, dtype=torch.long, device=seen.map4.device)))
        sizes = torch.tensor(size, device=seen.map4.device).expand(frames, -1)
        chances.append(network.scores(decoded).float().sigmoid())
        boxes.append(decoded.boxes[-1].float())
        patches.append(network.patches(decoded, features_of(decoded), sizes))
        advance()
    each = torch.cat(chances)
    means = each.mean(0)
    query = int(means.argmax())
    refined = [
        network.refined(of_group[:, query], seen).float() for of_group, seen in zip(patches, groups, strict=True)
    ]
    logits = torch.cat(refined)[:, : size[0], : size[1]]
    return Answer(query, means, each[:, query], torch.cat(boxes)[:, query], logits)


@torch.inference_mode()
def answer_frame(network: SgMg, clips: list[Tensor], text: TextFeatures, annotated: list[int]) -> list[list[Guess]]:
    """One frame of each clip, with all queries as guesses: how single annotated frames are evaluated.

    clips: B of (T, 3, h_b, w_b), normalised; text has B rows; annotated: the frame of each clip that is asked for.
    Other frames are context for the backbone alone.
    """
    batch, padding = padded(clips, LOADER_MULTIPLE)
    frames = batch.shape[1]
    chosen = torch.tensor([row * frames + at for row, at in enumerate(annotated)], device=batch.device)
    maps = [plane[chosen] for plane in network.swin(batch)]
    seen = network.look(maps, padding.flatten(0, 1)[chosen])
    decoded = network.refer(seen, text)
    sizes = torch.tensor([clip.shape[2:] for clip in clips], device=batch.device)
    patches = network.patches(decoded, features_of(decoded), sizes)
    queries = network.config.queries
    everyone = torch.arange(len(clips), device=batch.device).repeat_interleave(queries)
    logits = network.refined(patches.flatten(0, 1), rows_of(seen, everyone)).unflatten(0, (-1, queries))
    scores = network.scores(decoded).sigmoid()
    return [
        [
            Guess(float(scores[row, q]), decoded.boxes[-1][row, q], logits[row, q, : size[0], : size[1]])
            for q in range(queries)
        ]
        for row, size in enumerate(sizes.tolist())
    ]


def to_size(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Logits (T, h, w) of the unpadded input -> probabilities (T, *size)."""
    return F.interpolate(logits.unsqueeze(1), size, mode="bilinear", align_corners=False)[:, 0].sigmoid()


def exclusive_labels(probabilities: Tensor) -> Tensor:
    """(K, H, W) -> int64 (H, W): 0 nothing, k the k-th sentence. Below a half is nothing; ties go to the first.

    How the published evaluation merges the sentences of a video.
    """
    kept = torch.where(probabilities < 0.5, 0, probabilities)
    background = torch.full_like(kept[:1], 0.1)
    return torch.cat([background, kept]).argmax(0)
