"""XMem's network at work on one device: values and masks of any number of tracks in an encoded frame."""

import torch
from torch import Tensor

from engine.models.xmem.network import XMem
from engine.models.xmem.packing import packed_xmem
from engine.nn.aggregate import aggregate_probabilities, alone
from engine.propagation.mmpm_frames import EncodedFrame
from engine.propagation.stm_frames import STMFrames


class XMemFrames(STMFrames):
    """chunk: most tracks in one pass. exclusive: tracks see and push away each other; otherwise each is alone."""

    def __init__(self, network: XMem, device: torch.device, dtype: torch.dtype, chunk: int, exclusive: bool) -> None:
        config = network.config
        self.network = packed_xmem(network, dtype) if device.type == "cpu" else network.to(device).eval()
        super().__init__(self.network, config.short_side, config.antialias, device, dtype, chunk, exclusive)

    def values(self, frame: EncodedFrame, hidden: Tensor, soft: Tensor, deep: bool) -> tuple[Tensor, Tensor]:
        """Masks (N, H', W') and hidden (N, C_h, h, w) -> values (N, C_v, h, w) and hidden, reinforced if `deep`."""
        others = soft.sum(0, keepdim=True) - soft if self.exclusive else torch.zeros_like(soft)

        def work(part: slice) -> tuple[Tensor, Tensor]:
            return self.network.encode_value(
                frame.image, frame.features, hidden[None, part], soft[None, part], deep, others[None, part]
            )

        return self._over_tracks(work, len(soft))

    def masks(self, frame: EncodedFrame, read: Tensor, hidden: Tensor, update: bool) -> tuple[Tensor, Tensor]:
        """Read-out (N, C_v, h, w) and hidden -> probabilities (N, H', W') and hidden, updated if asked."""

        def work(part: slice) -> tuple[Tensor, Tensor]:
            own = hidden[None, part]
            logits, new = self.network.decode(frame.features, read[None, part], own, update)
            return logits, own if new is None else new

        logits, hidden = self._over_tracks(work, len(read))
        return aggregate_probabilities(logits.sigmoid()) if self.exclusive else alone(logits), hidden
