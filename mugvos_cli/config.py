"""Defaults from mugvos.toml: of the current folder, else of the user's configuration folder.

Keys at the top are shared options and hold for every command that has them; a table named after a command holds that
command's own options. A flag wins over the environment, the environment over this file. Knows TOML and the names of
options; what a value means is checked by the option itself.

    device = "cuda:0"
    [propagate]
    exclusive = true
"""

import tomllib
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from mugvos_cli.table import COMMANDS

FILE_NAME = "mugvos.toml"
SHARED = ("device", "jobs", "json", "model", "precision", "quiet", "seed", "verbose")


def path() -> Path | None:
    """The file in effect, or None."""
    here = Path(FILE_NAME)
    if here.is_file():
        return here
    import platformdirs

    users = Path(platformdirs.user_config_dir("mugvos")) / FILE_NAME
    return users if users.is_file() else None


def defaults(name: str, command: Any) -> dict[str, Any]:
    """The defaults that the file in effect gives a command, by parameter name. Raises UsageError for unknown keys."""
    file = path()
    if file is None:
        return {}
    settings = _read(file)
    _check_top(file, settings)
    shared = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    own = settings.get(name, {})
    return _shared_defaults(command, shared) | _own_defaults(file, name, command, own)


def run_defaults(file: Path, name: str, command: Any) -> dict[str, Any]:
    """What a file for `--config` gives a command, by parameter name: its options at the top, or in a table [name].

    Raises UsageError for files that cannot be read and for keys that are no options.
    """
    if not file.is_file():
        raise UsageError(f"{file}: no such configuration", "name a .toml file, as a run writes it beside its weights")
    settings = _read(file)
    table = settings.pop(name) if isinstance(settings.get(name), dict) else {}
    return _own_defaults(file, name, command, {**settings, **table})


def _read(file: Path) -> dict[str, Any]:
    try:
        settings = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise UsageError(f"{file}: no valid TOML: {fault}", "mend the file or move it away") from fault
    return {key.replace("-", "_"): value for key, value in settings.items()}


def _check_top(file: Path, settings: dict[str, Any]) -> None:
    for key, value in settings.items():
        if isinstance(value, dict) and key not in COMMANDS:
            raise UsageError(f"{file}: [{key}] is no command", f"use one of {', '.join(COMMANDS)}")
        if not isinstance(value, dict) and key not in SHARED:
            raise UsageError(
                f"{file}: unknown key {key!r}", f"use {', '.join(SHARED)}, or a table named after a command"
            )


def _parameters(command: Any) -> dict[str, str]:
    """Option name as written in the file -> name of the parameter."""
    flags = {flag: param.name for param in command.params for flag in param.opts if flag.startswith("--")}
    return {flag[2:].replace("-", "_"): name for flag, name in flags.items() if flag != "--help"}


def _shared_defaults(command: Any, shared: dict[str, Any]) -> dict[str, Any]:
    names = _parameters(command)
    found = {names[key]: value for key, value in shared.items() if key in names}
    for child, subcommand in getattr(command, "commands", {}).items():
        found[child] = _shared_defaults(subcommand, shared)
    return found


def _own_defaults(file: Path, where: str, command: Any, table: dict[str, Any]) -> dict[str, Any]:
    names, children = _parameters(command), getattr(command, "commands", {})
    found: dict[str, Any] = {}
    for key, value in table.items():
        plain = key.replace("-", "_")
        if isinstance(value, dict) and key in children:
            found[key] = _own_defaults(file, f"{where}.{key}", children[key], value)
        elif plain in names:
            found[names[plain]] = value
        else:
            raise UsageError(
                f"{file}: unknown key {key!r} in [{where}]", f"see `mugvos {where} --help` for its options"
            )
    return found
