"""Three-dimensional windows of Video-Swin: how a block of (time, height, width) is cut up, shifted and put together.

Knows index arithmetic; knows no weights. Video Swin Transformer, Liu et al., CVPR 2022, section 3.2.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Size3 = tuple[int, int, int]


def fitted(size: Sequence[int], window: Size3, shifted: bool) -> tuple[Size3, Size3]:
    """Window and shift of a block: an axis that fits into the window is one window and is not shifted."""
    sides, shifts = [], []
    for length, side in zip(size, window, strict=True):
        sides.append(min(length, side))
        shifts.append(side // 2 if shifted and length > side else 0)
    return (sides[0], sides[1], sides[2]), (shifts[0], shifts[1], shifts[2])


def pad_to_windows(x: Tensor, window: Size3) -> Tensor:
    """Zeros at the end of time, height and width of (B, T, H, W, C), up to multiples of the window."""
    t, h, w = (-length % side for length, side in zip(x.shape[1:4], window, strict=True))
    return F.pad(x, (0, 0, 0, w, 0, h, 0, t)) if t or h or w else x


def cut(x: Tensor, window: Size3) -> Tensor:
    """(B, T, H, W, C), padded -> (B * windows, tokens, C), tokens in the order time, row, column."""
    b, t, h, w, c = x.shape
    x = x.reshape(b, t // window[0], window[0], h // window[1], window[1], w // window[2], window[2], c)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, window[0] * window[1] * window[2], c)


def join(windows: Tensor, window: Size3, shape: Sequence[int]) -> Tensor:
    """The inverse of `cut`; `shape` is (B, T, H, W), padded."""
    b, t, h, w = shape
    x = windows.reshape(b, t // window[0], h // window[1], w // window[2], *window, -1)
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(b, t, h, w, -1)


def regions(size: Size3, window: Size3, shift: Size3, device: torch.device) -> Tensor:
    """For each window the label (windows, tokens) of the region that each token came from before the roll.

    Tokens of different regions are no neighbours and do not see each other. An axis without shift is one region.
    """
    label = torch.zeros((1, *size, 1), device=device)
    for axis, (length, side, step) in enumerate(zip(size, window, shift, strict=True)):
        if step:
            place = torch.arange(length, device=device)
            part = (place >= length - side).int() + (place >= length - step).int()
            label = label * 3 + part.view([-1 if at == axis + 1 else 1 for at in range(5)])
    return cut(label, window)[..., 0]


def relative_index(window: Size3) -> Tensor:
    """int64 (tokens, tokens): which row of the bias table belongs to a pair of tokens of a full window."""
    t, h, w = window
    places = torch.cartesian_prod(torch.arange(t), torch.arange(h), torch.arange(w))
    d = places[:, None] - places[None]
    return (d[..., 0] + t - 1) * (2 * h - 1) * (2 * w - 1) + (d[..., 1] + h - 1) * (2 * w - 1) + d[..., 2] + w - 1
