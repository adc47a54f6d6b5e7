"""A small campaign in `make test`; the whole one is `make crash`."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CAMPAIGN = Path(__file__).with_name("campaign.py")


@pytest.mark.parametrize("where", ["load", "config.defaults"])
def test_a_signal_before_the_command_has_begun_is_an_interrupt(
    where: str, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"mugvos_cli.main.{where}", interrupted)
    done = cli("info", "tracks.h5")
    assert (done.status, "bug" in done.err, "interrupted" in done.err) == (130, False, True), done.err


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_commands_that_are_killed_go_on_and_end_as_if_nothing_had_been() -> None:
    """Each command killed at a random moment, in forks of one process."""
    done = subprocess.run([sys.executable, CAMPAIGN, "--kills", "1"], capture_output=True, text=True, timeout=900)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (done.stdout, done.stderr[-3000:])
    assert {row["job"].split("-")[0] for row in rows} == {"generate", "propagate", "train", "convert", "annotate"}
    assert all(row["kills"] >= 1 and row["rounds"] >= 1 and row["faults"] == [] for row in rows)
