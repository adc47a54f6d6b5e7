"""What an image encoder hands to the other parts."""

from typing import NamedTuple

from torch import Tensor


class Features(NamedTuple):
    """Image features: `coarse` (B, C, H/stride, W/stride) and, for decoders that refine, finer maps, finest last."""

    coarse: Tensor
    fine: tuple[Tensor, ...] = ()
