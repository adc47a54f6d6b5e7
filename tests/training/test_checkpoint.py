"""The file that a killed training goes on from, where there is no room for it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from engine.errors import OutputError
from engine.training import checkpoint


@pytest.fixture
def narrow() -> Iterator[None]:
    """No file may grow beyond 100 KB, which fails where a full disk does."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of processes")
@pytest.mark.parametrize("size", [25_000, 50_000, 10**6])
def test_a_full_disk_is_told_in_one_line(tmp_path: Path, narrow: None, size: int) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        checkpoint.write(tmp_path / "w.training.pt", {"a": torch.zeros(size), "b": torch.zeros(10)})
    assert list(tmp_path.iterdir()) == []
