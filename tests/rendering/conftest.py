"""Clips that several tests draw from."""

import numpy as np
import pytest
from rendering_fakes import MemoryClip, block


@pytest.fixture
def moving_clip() -> MemoryClip:
    """Track 3 moves right over frames 0 to 9; track 5, inside it, is seen in frames 4 to 6 only."""
    masks = {(i, 3): block(4, i, 16, i + 14) for i in range(10)}
    masks |= {(i, 5): block(8, i + 4, 12, i + 8) for i in (4, 5, 6)}
    masks |= {(i, 5): np.zeros((24, 32), bool) for i in (7, 8, 9)}
    return MemoryClip(masks)
