"""Masks of training clips as labels, and objects of one clip pasted over another. Knows tensors only."""

from collections.abc import Sequence

import torch
from torch import Tensor


def labels_of(masks: Tensor, smallest: int = 0) -> Tensor:
    """Masks (B, T, S, S) or (B, T, n, S, S) in {0, 1} -> labels int64 (B, T, S, S), 0 the background.

    Objects with fewer pixels in the first frame than `smallest` are left out; the others are numbered without gaps.
    """
    planes = masks if masks.ndim == 5 else masks.unsqueeze(2)
    seen = planes[:, 0].flatten(2).sum(2) >= max(smallest, 1)
    number = seen.long().cumsum(1) * seen
    return (planes * number[:, None, :, None, None]).amax(2).long()


def pasted(images: Tensor, labels: Tensor, chosen: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Where `chosen` (B), the objects of the clip before lie over a clip and are numbered after its own.

    Only whole clips whose objects are `most` or fewer together; objects that vanish from the first frame are left out.
    """
    above, over = images.roll(1, 0), labels.roll(1, 0)
    count = labels[:, 0].flatten(1).amax(1)
    fits = (chosen & (count + count.roll(1, 0) <= most)).view(-1, 1, 1, 1)
    covered = fits & (over > 0)
    both = torch.where(covered, over + count.view(-1, 1, 1, 1), labels)
    return torch.where(covered[:, :, None], above, images), _renumbered(both)


def attached(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Every clip (B, T, 3, S, S) with the object of the clip before on top of it, which its mask (B, T, S, S) loses."""
    above = masks.roll(1, 0) > 0
    return torch.where(above[:, :, None], images.roll(1, 0), images), torch.where(above, 0, masks)


def _renumbered(labels: Tensor) -> Tensor:
    """Labels of each clip numbered without gaps by what the first frame shows; the rest becomes background."""
    result = torch.zeros_like(labels)
    for clip, new in zip(labels, result, strict=True):
        for number, label in enumerate(clip[0].unique()[clip[0].unique() > 0].tolist(), 1):
            new[clip == label] = number
    return result


def overlap(scores: Sequence[Tensor], labels: Tensor) -> float:
    """Mean J over the objects of all clips, over all frames. scores: (B, C, H, W) of each; labels (B, T, H, W)."""
    found = torch.stack([frame.detach().argmax(1) for frame in scores], 1)
    values = []
    for clip, truth in zip(found, labels, strict=True):
        for label in truth.unique().tolist():
            if label:
                ours, theirs = clip == label, truth == label
                values.append(((ours & theirs).sum() + 1) / ((ours | theirs).sum() + 1))
    return float(torch.stack(values).mean()) if values else 1.0
