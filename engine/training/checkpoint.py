"""The file that a killed run goes on from: written whole or not at all, and refused for any other run.

Knows files and plain dicts. Knows nothing of what is trained.
"""

from pathlib import Path
from typing import Any

import torch

from engine.errors import CheckpointError
from engine.store import atomic
from engine.store.spool import writing
from engine.training.settings import TrainSettings


def write(path: Path, state: dict[str, Any]) -> None:
    """Publish `state` under `path`. Raises OutputError where that cannot be written."""
    temporary = atomic.temporary_beside(path)
    try:
        with writing(path):
            save(state, temporary)
        atomic.publish(temporary, path)
    finally:
        atomic.remove(temporary)


def save(state: dict[str, Any], path: Path) -> None:
    """As torch.save. Raises the system's own OSError, a full disk for one, which torch hides behind a RuntimeError."""
    with path.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def read(path: Path, settings: TrainSettings, others: dict[str, Any]) -> dict[str, Any]:
    """The state under `path`, if it belongs to a run of these settings and of `others` (processes, inputs).

    Raises CheckpointError for damaged files, and for those of another run with all that differs. What an older version
    did not record counts as equal.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        there = TrainSettings.from_dict(state["settings"]).as_dict()
    except Exception as error:
        raise CheckpointError(f"{path}: a damaged training checkpoint", "--overwrite starts the run anew") from error
    known = {name: value for name, value in others.items() if name in state}
    changed = differences({**there, **{name: state[name] for name in known}}, {**settings.as_dict(), **known})
    if changed:
        raise CheckpointError(
            f"{path}: an unfinished run with other settings ({changed})",
            "give the same options to go on, or --overwrite to start anew",
        )
    return state


def differences(saved: dict[str, Any], wanted: dict[str, Any], within: str = "") -> str:
    """What differs, each as `name: VALUE there, VALUE here`; names of nested settings are `clips.size`."""
    found = []
    for name in [*wanted, *(name for name in saved if name not in wanted)]:
        there, value = saved.get(name), wanted.get(name)
        if isinstance(value, dict) and isinstance(there, dict):
            found.append(differences(there, value, f"{within}{name}."))
        elif there != value:
            found.append(f"{within}{name}: {there} there, {value} here")
    return ", ".join(filter(None, found))
