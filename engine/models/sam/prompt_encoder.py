"""SAM's prompt encoder with a second way in: points and boxes drawn as planes on the image embedding's grid.

SAM tells the decoder where a prompt is by tokens alone, and learns what that means from a billion masks. A small model
trained for an hour learns it far sooner when every position is also told how near the points are and where in the box
it lies (docs/sam.md). The tokens stay as they are; the planes travel beside the dense embedding, to DrawnMaskDecoder.
"""

import torch
from segment_anything.modeling import PromptEncoder
from torch import Tensor

REACHES = (0.02, 0.06, 0.18)
"""Standard deviations of a point's planes, as shares of the input side."""

PLANES = 2 * len(REACHES) + 4


class DrawnPromptEncoder(PromptEncoder):
    """segment-anything's prompt encoder whose dense embedding has the drawn prompts as further channels."""

    def forward(
        self, points: tuple[Tensor, Tensor] | None, boxes: Tensor | None, masks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """points: coordinates (P, n, 2) and labels (P, n); boxes (P, 4); masks (P, 1, 4h, 4w), any of them None.

        Returns sparse (P, tokens, C), as segment-anything's encoder does, and dense (P, C + PLANES + 4, h, w), whose
        last channels no network sees: how far outside of the box each position is.
        """
        sparse, dense = super().forward(points, boxes, masks)
        planes = self.planes(points, boxes)
        return sparse, torch.cat([dense.expand(len(planes), -1, -1, -1), planes, self._beyond(planes, boxes)], 1)

    def _beyond(self, planes: Tensor, boxes: Tensor | None) -> Tensor:
        """(P, 4, h, w): pixels of the input past the left, right, upper and lower side of a box, less than 0 before it.

        Counted from the middles of its outermost pixels. Linear, so that they can be enlarged. Zeros without a box.
        """
        if boxes is None:
            return planes.new_zeros(len(planes), 4, *planes.shape[2:])
        x0, y0, x1, y1 = (boxes.reshape(-1, 4, 1, 1).nan_to_num() + 0.5).unbind(1)
        (rows, columns), (height, width) = planes.shape[2:], self.input_image_size
        x = (torch.arange(columns, device=planes.device) + 0.5) * (width / columns)
        y = (torch.arange(rows, device=planes.device) + 0.5).unsqueeze(1) * (height / rows)
        past = torch.stack(torch.broadcast_tensors(x0 - x, x - x1, y0 - y, y - y1), 1)
        return past.to(planes.dtype) * planes[:, -1:]

    def tokens(self, points: tuple[Tensor, Tensor]) -> Tensor:
        """The sparse embeddings (P, n + 1, C) of points alone."""
        sparse: Tensor = super().forward(points, None, None)[0]
        return sparse

    def planes(self, points: tuple[Tensor, Tensor] | None, boxes: Tensor | None) -> Tensor:
        """(P, 10, h, w): nearness to label-1 points and to label-0 points at three reaches, then the box.

        Of a box: inside or not, place across and down (-1..1 from side to side, 0 outside), whether there is one. A box
        of NaN is none, as is label -1.
        """
        weight = self.no_mask_embed.weight
        boxes = None if boxes is None else boxes.reshape(-1, 4)  # segment-anything's predictor gives (1, 1, 4)
        height, width = self.image_embedding_size
        count = len(boxes) if boxes is not None else len(points[0]) if points is not None else 1
        planes = weight.new_zeros(count, PLANES, height, width)
        x, y, scale = self._grid()
        if points is not None:
            planes[:, :-4] = _nearness((points[0] + 0.5) * scale, points[1], x, y)
        if boxes is not None:
            planes[:, -4:] = _inside((boxes + 0.5) * scale.repeat(2), x, y)
        return planes

    def near(self, points: Tensor) -> Tensor:
        """The planes that positive points (P, n, 2) fill, where nothing else is asked: (P, 3, h, w)."""
        x, y, scale = self._grid()
        placed = ((points + 0.5) * scale).to(x.dtype)
        return torch.stack(_reached(_squared(placed, x, y).amin(1)), 1)

    def _grid(self) -> tuple[Tensor, Tensor, Tensor]:
        """Positions across and down, in 0..1, and what makes pixels of the input such."""
        weight = self.no_mask_embed.weight
        height, width = self.image_embedding_size
        x = (torch.arange(width, device=weight.device) + 0.5) / width
        y = (torch.arange(height, device=weight.device) + 0.5) / height
        return x, y, 1 / weight.new_tensor(self.input_image_size[::-1])


def _nearness(points: Tensor, labels: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Gaussians around points (P, n, 2) in 0..1, the nearest point counts: (P, 6, h, w)."""
    squared = _squared(points, x, y)
    planes: list[Tensor] = []
    for label in (1, 0):
        of_label = (labels == label)[:, :, None, None]
        planes += _reached(torch.where(of_label, squared, torch.inf).amin(1))
    return torch.stack(planes, 1)


def _squared(points: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Squared distances of every position from points (P, n, 2): (P, n, h, w)."""
    across = (x - points[..., :1]).square()[:, :, None, :]
    down = (y - points[..., 1:]).square()[:, :, :, None]
    return across + down


def _reached(nearest: Tensor) -> list[Tensor]:
    """How near, by each reach, for squared distances of the nearest point."""
    return [torch.exp(-nearest / (2 * reach**2)) for reach in REACHES]


def _inside(boxes: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(P, 4, h, w) of boxes (P, 4) in 0..1; zeros where a box is NaN."""
    there = boxes.isfinite().all(1)
    x0, y0, x1, y1 = torch.where(there[:, None], boxes, 0).unbind(1)
    across = _place(x, x0, x1)[:, None, :].expand(-1, len(y), -1)
    down = _place(y, y0, y1)[:, :, None].expand(-1, -1, len(x))
    inside = ((across.abs() <= 1) & (down.abs() <= 1)).to(boxes.dtype)
    present = torch.ones_like(inside)
    return torch.stack([inside, across * inside, down * inside, present], 1) * there[:, None, None, None]


def _place(line: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Positions (n,) relative to spans (P,): -1 at the low end, 1 at the high end. (P, n)."""
    half = ((high - low) / 2).clamp(min=1e-4)[:, None]
    return (line - ((high + low) / 2)[:, None]) / half
