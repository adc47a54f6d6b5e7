"""RAFT (Teed and Deng, ECCV 2020), torchvision's networks and weights.

Knows frames and a network. Frames of any size: they are filled up by repeating the border, to multiples of eight and to
the 128 pixels that the correlation pyramid needs, and the flow is cut back.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.optical_flow import raft_large, raft_small

from engine.runtime.precision import autocast
from engine.types import FloatArray, UInt8Array

NETWORKS = {"raft-large": raft_large, "raft-small": raft_small}
_UPDATES = 12
_MULTIPLE, _SHORTEST = 8, 128


class RAFTFlow:
    """A RAFT on a device (a Flow); the last of its twelve updates is the flow."""

    def __init__(self, network: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        self._network, self._dtype = network.eval(), dtype
        self._device = next(network.parameters()).device

    def __call__(self, first: UInt8Array, second: UInt8Array) -> FloatArray:
        """Where each pixel of `first`, uint8 (H, W, 3) RGB, lies in `second`, as an offset: float32 (2, H, W)."""
        return self._flows([first], [second])[0]

    def both(self, first: UInt8Array, second: UInt8Array) -> tuple[FloatArray, FloatArray]:
        """Flow there and back, in one pass of two pairs."""
        there, back = self._flows([first, second], [second, first])
        return there, back

    @torch.inference_mode()
    def _flows(self, first: list[UInt8Array], second: list[UInt8Array]) -> list[FloatArray]:
        height, width = first[0].shape[:2]
        with autocast(self._device, self._dtype):
            found = self._network(self._ready(first), self._ready(second), num_flow_updates=_UPDATES)[-1]
        cut = found[..., :height, :width].float().cpu().numpy()
        return [np.ascontiguousarray(flow) for flow in cut]

    def _ready(self, images: list[UInt8Array]) -> Tensor:
        """Images as values from -1 to 1, (N, 3, H', W')."""
        stacked = torch.from_numpy(np.stack(images)).to(self._device).permute(0, 3, 1, 2)
        values = (stacked.float() / 255 - 0.5) / 0.5
        height, width = (_filled(side) - side for side in values.shape[2:])
        return F.pad(values, (0, width, 0, height), mode="replicate")


def _filled(side: int) -> int:
    return max(-(-side // _MULTIPLE) * _MULTIPLE, _SHORTEST)
