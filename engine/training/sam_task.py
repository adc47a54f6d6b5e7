"""SAM in training: interactive rounds of prompts and corrections (Segment Anything, section 3 and appendix A).

The first prompt of every mask is a point or a box; each later round shows the decoder its last mask and, in some,
adds a point where that is wrong. A box and every later round are answered by the single mask. A point may mean any
region that it lies in, and several people drew several: each of them is to be met by one of three masks. The other
answer of the first round counts a little. The quality head learns the true IoU of all four.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from segment_anything.modeling import PromptEncoder, Sam
from torch import Tensor

from engine.models.sam.config import SAMConfig
from engine.models.sam.decoding import decode
from engine.models.sam.prompt_encoder import DrawnPromptEncoder
from engine.training.prompts import error_points, inner_points, loose_boxes
from engine.training.settings import TrainSettings
from engine.training.task import Outcome

BOX_SHARE = 0.65
MASK_ALONE_SHARE = 0.6
"""Of the later rounds; the paper has two of eleven, but here every box alone is answered in two rounds."""
FOCAL_WEIGHT = 10.0
SECONDARY = 0.25
QUALITY_WEIGHT = 3.0


class Prompts(NamedTuple):
    """One prompt a row: points (P, n, 2) with labels (P, n), -1 for none; boxes (P, 4), NaN for none."""

    points: Tensor
    labels: Tensor
    boxes: Tensor


class SAMTask:
    """Batches are Scenes, whose side is the input side of `model`."""

    draws_per_clip = True

    def __init__(self, model: Sam, config: SAMConfig, settings: TrainSettings) -> None:
        """config: the sizes that are saved; its input side may differ from the one trained at."""
        self.model = model
        self.config = config
        self.settings = settings

    def step(self, batch: tuple[Tensor, ...], generator: torch.Generator, step: int) -> Outcome:
        """All rounds of all masks of the batch; `iou` is that of the answers to the first prompts.

        Steps take turns with no, one, ... and `rounds` corrections, which costs half of what as many each time would.
        """
        images, masks, layers = batch
        truth = masks.flatten(0, 1)
        coarser = self.config.stride // 4
        small = (F.avg_pool2d(truth.unsqueeze(1), coarser)[:, 0] > 0.5).float()
        image = (images * 255 - self.model.pixel_mean) / self.model.pixel_std
        embedding = self.model.image_encoder(image.contiguous()).repeat_interleave(masks.shape[1], 0)
        boxed = torch.rand(len(truth), generator=generator, device=truth.device) < BOX_SHARE
        prompts = first_prompts(truth, boxed, generator)
        logits, quality = self._answer(embedding, prompts, None)
        meant = regions_under(prompts.points[:, 0], layers.repeat_interleave(masks.shape[1], 0), coarser)
        loss, answer = judge_first(logits, quality, small, boxed, meant)
        first = _iou(answer.detach(), small).mean().item()
        rounds = step % (1 + self.settings.rounds)
        for _ in range(rounds):
            if float(torch.rand((), generator=generator, device=truth.device)) >= MASK_ALONE_SHARE:
                prompts = corrected(prompts, answer.detach(), truth, generator)
            logits, quality = self._answer(embedding, prompts, answer.detach())
            answer = logits[:, :1]
            loss = (
                loss + _mask_losses(answer, small.unsqueeze(1))[:, 0, 0] + _quality_loss(answer, quality[:, :1], small)
            )
        last = _iou(answer.detach(), small).mean().item()
        return Outcome(loss.mean() / (1 + rounds), first, {"corrected IoU": last})

    def description(self) -> dict[str, Any]:
        """Kind and sizes."""
        return {"model": "sam", "config": self.config.as_dict()}

    def _answer(self, embedding: Tensor, prompts: Prompts, shown: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits (P, 4, h, w) and quality (P, 4); shown: the last logits (P, 1, h, w), if there were any."""
        encoder = self.model.prompt_encoder
        if shown is None:
            dense = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(len(embedding), -1, *embedding.shape[2:])
        else:
            dense = encoder.mask_downscaling(shown)
        if isinstance(encoder, DrawnPromptEncoder):
            dense = torch.cat([dense, encoder.planes((prompts.points, prompts.labels), prompts.boxes)], 1)
        tokens = prompt_tokens(encoder, prompts)
        decoder, position = self.model.mask_decoder, encoder.get_dense_pe()
        logits, quality = decode(decoder, embedding, position, tokens, dense, again=False)
        return logits.float(), quality.float()


def first_prompts(truth: Tensor, boxed: Tensor, generator: torch.Generator) -> Prompts:
    """A box where `boxed`, elsewhere a point inside the mask."""
    points = inner_points(truth, generator)[:, None]
    boxes = torch.where(boxed[:, None], loose_boxes(truth, generator), torch.nan)
    return Prompts(points, torch.where(boxed, -1, 1)[:, None], boxes)


def corrected(prompts: Prompts, answer: Tensor, truth: Tensor, generator: torch.Generator) -> Prompts:
    """One more point for each prompt, where its answer (P, 1, h, w) is wrong."""
    whole = F.interpolate(answer, size=truth.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    points, labels = error_points(whole > 0, truth, generator)
    return prompts._replace(
        points=torch.cat([prompts.points, points[:, None]], 1), labels=torch.cat([prompts.labels, labels[:, None]], 1)
    )


def prompt_tokens(encoder: PromptEncoder, prompts: Prompts) -> Tensor:
    """SAM's tokens: corners of a box, or the first point and "not a point"; then all further points. (P, 1 + n, C)."""
    first: Tensor = encoder._embed_points(prompts.points[:, :1], prompts.labels[:, :1], pad=True)
    boxed = prompts.boxes.isfinite().all(1)
    corners: Tensor = encoder._embed_boxes(prompts.boxes.nan_to_num())
    tokens = torch.where(boxed[:, None, None], corners, first)
    if prompts.points.shape[1] == 1:
        return tokens
    more: Tensor = encoder._embed_points(prompts.points[:, 1:], prompts.labels[:, 1:], pad=False)
    return torch.cat([tokens, more], 1)


def regions_under(points: Tensor, layers: Tensor, coarser: int) -> Tensor:
    """The region of each label map (P, n, S, S) that a point (P, 2) lies in: (P, n, S / c, S / c) in {0, 1}.

    Empty where the label is 0.
    """
    x, y = points.long().unbind(1)
    label = layers[torch.arange(len(points), device=points.device), :, y, x][:, :, None, None]
    middle = coarser // 2
    return ((layers[..., middle::coarser, middle::coarser] == label) & (label > 0)).float()


def judge_first(logits: Tensor, quality: Tensor, truth: Tensor, boxed: Tensor, meant: Tensor) -> tuple[Tensor, Tensor]:
    """Loss (P,) of a first round, and the answer (P, 1, h, w): a box's single mask, a point's best of three.

    truth (P, h, w): the region that was asked for. meant (P, n, h, w): all that a point may mean, or empty ones.
    """
    each = _mask_losses(logits, torch.cat([truth.unsqueeze(1), meant], 1))
    best, which = each[:, 1:, 0].min(1)
    there = meant.flatten(2).any(2).float()
    of_meant = (each[:, 1:, 1:].amin(1) * there).sum(1) / there.sum(1).clamp(min=1)
    pointed = torch.where(there.any(1), of_meant, best)
    wanted, other = torch.where(boxed, each[:, 0, 0], pointed), torch.where(boxed, best, each[:, 0, 0])
    index = torch.where(boxed, 0, which + 1)
    answer = logits[torch.arange(len(logits), device=logits.device), index].unsqueeze(1)
    return wanted + SECONDARY * other + _quality_loss(logits, quality, truth), answer


def _mask_losses(logits: Tensor, truth: Tensor) -> Tensor:
    """Focal (gamma 2) and dice loss of every mask with every truth: (P, n, h, w), (P, m, h, w) -> (P, n, m).

    A pixel's focal loss is one of two numbers, whichever the truth is, so that all pairs are two matrix products.
    """
    x, t = logits.flatten(2), truth.flatten(2).transpose(1, 2)
    p = x.sigmoid()
    inside, outside = (1 - p).square() * F.softplus(-x), p.square() * F.softplus(x)
    with torch.autocast(x.device.type, enabled=False):
        focal = ((inside - outside) @ t + outside.sum(2, keepdim=True)) / x.shape[2]
        dice = 1 - (2 * p @ t + 1) / (p.sum(2, keepdim=True) + t.sum(1, keepdim=True) + 1)
    return FOCAL_WEIGHT * focal + dice


def _quality_loss(logits: Tensor, quality: Tensor, truth: Tensor) -> Tensor:
    """Squared error (P,) of the predicted IoU, mean over masks."""
    return QUALITY_WEIGHT * (quality - _iou(logits.detach(), truth)).square().mean(1)


def _iou(logits: Tensor, truth: Tensor) -> Tensor:
    """IoU of thresholded logits (P, n, h, w) with truth (P, h, w): (P, n)."""
    found, wanted = logits > 0, truth.unsqueeze(1) > 0.5
    union = (found | wanted).sum((2, 3)).clamp(min=1)
    return (found & wanted).sum((2, 3)) / union
