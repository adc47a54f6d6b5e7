"""Commands that README and docs show: each exists and knows the options it is shown with; links lead somewhere."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from mugvos_cli.main import load
from mugvos_cli.table import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "engine").rglob("*.md"))]


def shown_commands(page: Path) -> Iterator[list[str]]:
    """Words of every `mugvos ...` in indented or fenced code, pipes taken apart, continued lines joined."""
    text = page.read_text().replace("\\\n", " ")
    for line in re.findall(r"^(?:    |\$ |)(mugvos .*)$", text, re.MULTILINE):
        for part in line.split("|"):
            words = shlex.split(part, comments=True)
            if words and words[0] == "mugvos":
                yield words[1:]


def options_of(command: object) -> set[str]:
    """All flags of a command and its subcommands."""
    flags = {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
    for child in getattr(command, "commands", {}).values():
        flags |= options_of(child)
    return flags


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page: Path) -> None:
    for name, *rest in shown_commands(page):
        if name.isupper() or name.startswith("-"):
            continue
        assert name in COMMANDS, f"mugvos {name}"
        flags = {re.match(r"--?[a-z-]+", word)[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert flags <= options_of(load(name)) | {"--help"}, f"mugvos {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_readme_shows_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    assert all(f"`{name}`" in text for name in COMMANDS)
    assert sum(1 for _ in shown_commands(ROOT / "README.md")) >= 4
