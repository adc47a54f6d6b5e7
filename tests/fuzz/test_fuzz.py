"""A few hostile inputs for every reader in `make test`; the whole campaign is `make fuzz`."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE)]

import fuzz  # noqa: E402
import targets  # noqa: E402

INPUTS = 10


@pytest.mark.skipif(sys.platform == "win32", reason="needs /proc and fork")
@pytest.mark.parametrize("name", targets.TARGETS)
def test_hostile_inputs_are_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    watch, seeds, rng = fuzz.Watch(name, tmp_path), targets.TARGETS[name][1](), random.Random(name)
    for data in seeds:
        watch(data)
    for _ in range(INPUTS):
        watch(fuzz.mutated(rng.choice(seeds), rng))
    assert watch.findings == {}
    assert watch.counts["tried"] == len(seeds) + INPUTS


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_forged_stores_are_read_or_refused(tmp_path: Path) -> None:
    command = [sys.executable, HERE / "fuzz.py", "--runs", "60", "--keep", tmp_path]
    done = subprocess.run(
        [*command, "--only", "stores forged", "--only", "stores"], capture_output=True, text=True, timeout=600
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (rows, done.stderr[-2000:])
    assert [row["tried"] for row in rows[:2]] == [60, 60]
    assert all(row["accepted"] > 0 and row["refused"] > 0 for row in rows[:2])


def test_the_checksum_of_hdf5_is_known() -> None:
    """The forger is only as good as its hash."""
    import hdf5_store
    import samples

    assert hdf5_store.lookup3(b"Four score and seven years ago") == 0x17770551
    assert all(len(hdf5_store.blocks(store)) >= 8 for store in samples.stores())
