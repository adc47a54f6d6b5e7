"""`mugvos doctor`: what this machine has, what is missing, how to get it; one line each."""

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import typer

from mugvos_cli import config, console
from mugvos_cli.options import Json

_MODULES = {
    "av": "av",
    "h5py": "h5py",
    "imageio": "imageio",
    "numpy": "numpy",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "platformdirs": "platformdirs",
    "pooch": "pooch",
    "rich": "rich",
    "rlemasklib": "rlemasklib",
    "safetensors": "safetensors",
    "segment-anything": "segment_anything",
    "torch": "torch",
    "torchvision": "torchvision",
    "typer": "typer",
}
_LOW_SPACE = 2 * 10**9


class Check(NamedTuple):
    """One line. `needed`: without it mugvos does not work as it should."""

    name: str
    ok: bool
    detail: str
    needed: bool = True


def doctor(json: Json = False) -> None:
    """Check versions, devices, codecs, weights, folders and disk space; one line each.

    What is missing is said with how to get it. Exit status 1 if something that is needed is missing.

    Examples:
      mugvos doctor
      mugvos doctor --json
    """
    checks = []
    for check in _checks():
        checks.append(check)
        if not json:
            console.result(_line(check))
    if json:
        console.emit_json({"schema": 1, "checks": [check._asdict() for check in checks]})
    missing = [check.name for check in checks if check.needed and not check.ok]
    if missing:
        console.error(f"missing: {', '.join(missing)}")
        raise typer.Exit(console.PARTLY)


def _line(check: Check) -> str:
    word = "ok" if check.ok else "missing" if check.needed else "absent"
    return f"{word:8}{check.name:24} {check.detail}"


def _checks() -> Iterator[Check]:
    yield _python()
    yield Check("mugvos", True, importlib.metadata.version("mugvos"))
    for package, module in _MODULES.items():
        yield _package(package, module)
    yield from _optional_packages()
    yield from _devices()
    yield from _codecs()
    yield from _weights()
    yield _space()
    yield _configuration()


def _python() -> Check:
    ok = sys.version_info >= (3, 11)
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check("python", ok, detail if ok else f"{detail}; mugvos needs 3.11 or newer")


def _package(package: str, module: str) -> Check:
    """A package must not only be installed: what it is linked against must be there too."""
    try:
        importlib.import_module(module)
        return Check(package, True, importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return Check(package, True, "version unknown")
    except Exception as fault:  # whatever breaks while importing is the finding
        reason = " ".join(str(fault).split())[:100]
        return Check(package, False, f"{reason}; pip install --force-reinstall {package}")


def _optional_packages() -> Iterator[Check]:
    """The packages of the extras, apart from those for development."""
    for requirement in importlib.metadata.requires("mugvos") or ():
        extra = requirement.partition("extra == ")[2].strip("'\" )")
        name = requirement.split(";")[0].split(">")[0].split("[")[0].strip()
        if extra and extra != "dev":
            yield _optional(name, extra)


def _optional(name: str, extra: str) -> Check:
    try:
        return Check(name, True, importlib.metadata.version(name), needed=False)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, f"optional; pip install 'mugvos[{extra}]'", needed=False)


def _devices() -> Iterator[Check]:
    try:
        from engine.runtime import describe_devices
    except ImportError:
        return
    found = describe_devices()
    for name, detail in found:
        yield Check(f"device {name}", True, detail)
    if len(found) == 1:
        yield Check("device cuda or mps", False, "no GPU that torch can use; everything runs on the CPU", needed=False)


def _codecs() -> Iterator[Check]:
    try:
        from engine.video import codec_report
    except ImportError:
        return
    for name, available, detail in codec_report():
        yield Check(name, available, detail, needed="H.264" in name)


def _weights() -> Iterator[Check]:
    try:
        from engine.weights import CATALOGUE, place_of, weights_folder
    except ImportError:
        return
    for entry in CATALOGUE.values():
        there = place_of(entry).is_file()
        get = "install mugvos again" if entry.bundled else entry.page or f"mugvos models fetch {entry.name}"
        yield Check(f"weights {entry.name}", there, str(place_of(entry)) if there else get, needed=entry.bundled)
    folder = weights_folder()
    above = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    ok = os.access(above, os.W_OK)
    yield Check("weights folder", ok, f"{folder}" if ok else f"{folder} cannot be written; set MUGVOS_WEIGHTS")


def _space() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    detail = f"{free / 1e9:.1f} GB free in {Path.cwd()}"
    return Check("disk space", free > _LOW_SPACE, detail if free > _LOW_SPACE else f"{detail}; free some", needed=False)


def _configuration() -> Check:
    file = config.path()
    variables = sorted(name for name in os.environ if name.startswith("MUGVOS_"))
    detail = str(file) if file else f"no {config.FILE_NAME}; built-in defaults hold"
    return Check("configuration", True, detail + (f"; environment: {', '.join(variables)}" if variables else ""))
