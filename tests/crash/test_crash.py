"""A small campaign in `make test`; the whole one is `make crash`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).with_name("campaign.py")


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_commands_that_are_killed_go_on_and_end_as_if_nothing_had_been() -> None:
    """Each command killed twice at random moments, in forks of one process."""
    done = subprocess.run([sys.executable, CAMPAIGN, "--kills", "2"], capture_output=True, text=True, timeout=900)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (done.stdout, done.stderr[-3000:])
    assert {row["job"].split("-")[0] for row in rows} == {"generate", "propagate", "train", "convert", "annotate"}
    assert all(row["kills"] >= 1 and row["rounds"] >= 1 and row["faults"] == [] for row in rows)
