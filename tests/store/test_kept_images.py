"""Label images kept as runs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.store.formats import kept_images
from engine.store.formats.kept_images import KeptImages


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 30), width=st.integers(1, 30), values=st.integers(1, 256))
def test_images_come_back_as_they_were(seed: int, height: int, width: int, values: int) -> None:
    image = np.random.default_rng(seed).integers(0, values, (height, width), np.uint8)
    kept = KeptImages(height, width)
    kept.put(7, image)
    found = kept.get(7)
    assert found is not None and found.dtype == np.uint8 and np.array_equal(found, image)
    assert kept.labels(7) == set(np.unique(image).tolist())
    assert kept.get(8) is None and kept.labels(8) is None


def test_what_does_not_fit_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_images, "MOST_BYTES", 30)
    kept = KeptImages(10, 10)
    flat, noise = np.zeros((10, 10), np.uint8), np.indices((10, 10)).sum(0).astype(np.uint8) % 2
    kept.put(0, flat)
    kept.put(1, noise)
    kept.put(2, flat)
    assert kept.get(0) is not None and kept.get(1) is None and kept.get(2) is not None
