"""DEVA's network at work on one device: values and masks of any number of tracks in an encoded frame."""

import torch
from torch import Tensor

from engine.models.deva.network import DEVA, masks_of
from engine.models.deva.packing import packed_deva
from engine.propagation.mmpm_frames import EncodedFrame
from engine.propagation.stm_frames import STMFrames


class DEVAFrames(STMFrames):
    """chunk: most tracks in one pass. exclusive: tracks push away each other; otherwise each is alone."""

    nearest = "centre"

    def __init__(self, network: DEVA, device: torch.device, dtype: torch.dtype, chunk: int, exclusive: bool) -> None:
        config = network.config
        self.network = packed_deva(network, dtype) if device.type == "cpu" else network.to(device).eval()
        super().__init__(self.network, config.short_side, config.antialias, device, dtype, chunk, exclusive)

    def values(self, frame: EncodedFrame, hidden: Tensor, soft: Tensor) -> tuple[Tensor, Tensor]:
        """Masks (N, H', W') and sensory memory (N, C_v, h, w) -> values (N, C_v, h, w) and sensory memory, updated."""

        def work(part: slice) -> tuple[Tensor, Tensor]:
            return self.network.encode_mask(frame.image, frame.features, hidden[None, part], soft[None, part])

        return self._over_tracks(work, len(soft))

    def masks(
        self, frame: EncodedFrame, read: Tensor, hidden: Tensor, last: Tensor, update: bool
    ) -> tuple[Tensor, Tensor]:
        """Read-out and sensory memory (N, C_v, h, w), masks of the frame before (N, H', W').

        Returns probabilities (N, H', W') and sensory memory, updated if asked.
        """

        def work(part: slice) -> tuple[Tensor, Tensor]:
            own = hidden[None, part]
            logits, new = self.network.decode(frame.features, read[None, part], own, last[None, part], update)
            return logits, own if new is None else new

        logits, hidden = self._over_tracks(work, len(read))
        return masks_of(logits, self.exclusive), hidden
