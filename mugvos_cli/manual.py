"""`python -m mugvos_cli.manual [--check]`: writes man/ and completions/ from the program itself.

Knows troff's man macros and where the files lie. Nothing in the pages depends on the machine or the day, so that a test
can tell whether the files in the repository are what the program says today.
"""

import sys
from pathlib import Path

from mugvos_cli import completion
from mugvos_cli.outline import Command, Option, outline

ROOT = Path(__file__).parents[1]

_ENVIRONMENT = (
    ("MUGVOS_<OPTION>", "The default of a shared option, e.g. MUGVOS_DEVICE=cuda:1. A flag wins over it."),
    ("MUGVOS_WEIGHTS", "The folder of fetched weights."),
    ("MUGVOS_DEBUG", "1: show the traceback of an error."),
    ("NO_COLOR", "No colours."),
)
_FILES = (
    (
        "mugvos.toml",
        "Defaults, in the current folder, else in the user's configuration folder. Keys at the top are shared options; "
        "a table named after a command holds its options. The environment wins over it.",
    ),
)
_STATUS = (
    ("0", "Done."),
    ("1", "Done in part; what failed is named on standard error."),
    ("2", "Wrong usage or unusable input; one line says what and what to do."),
    ("70", "A bug in mugvos."),
    ("130, 143", "Interrupted by Ctrl-C or by SIGTERM; what was finished is kept."),
)


def files() -> dict[Path, str]:
    """Every generated file, relative to the root of the repository, with what it should hold."""
    program = outline()
    pages = {Path("man") / f"{_page_name(command)}.1": page(command) for command in (program, *program.children)}
    return pages | {Path("completions") / name: text for name, text in completion.scripts(program).items()}


def stale(root: Path = ROOT) -> list[Path]:
    """Files that are missing, differ, or belong to nothing any more."""
    wanted = files()
    differing = [name for name, text in wanted.items() if _read(root / name) != text]
    present = [path.relative_to(root) for folder in ("man", "completions") for path in (root / folder).glob("*")]
    return sorted({*differing, *(name for name in present if name not in wanted)})


def write(root: Path = ROOT) -> list[Path]:
    """Write what is stale, remove what belongs to nothing; returns what changed."""
    wanted, changed = files(), stale(root)
    for name in changed:
        if name in wanted:
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(wanted[name], "utf-8")
        else:
            (root / name).unlink()
    return changed


def page(command: Command) -> str:
    """The man page of a command, in troff."""
    name = _page_name(command)
    parts = [
        f'.TH "{_text(name.upper())}" "1" "" "mugvos" "mugvos manual"',
        ".SH NAME",
        f"{_text(name)} \\- {_text(command.summary)}",
        ".SH SYNOPSIS",
        *(line for entry in command.flattened() for line in _synopsis(entry)),
        ".SH DESCRIPTION",
        *_paragraphs(command),
        *(_list("COMMANDS", [(child.path, child.summary) for child in command.children]) if not command.words else []),
        *_parameters(command, ".SH"),
        *(line for child in command.children if command.words for line in _subcommand(child)),
        *_examples(command),
    ]
    if not command.words:
        parts += _list("ENVIRONMENT", _ENVIRONMENT) + _list("FILES", _FILES)
    parts += _list("EXIT STATUS", _STATUS) + _see_also(command)
    return "\n".join(parts) + "\n"


def _page_name(command: Command) -> str:
    return "-".join(("mugvos", *command.words))


def _synopsis(command: Command) -> list[str]:
    """One line; the program itself has one for all its commands, which have their own pages."""
    if command.words and not command.arguments and command.children:
        rest = "[options] [command]"
    else:
        rest = " ".join(("[options]", *(argument.synopsis for argument in command.arguments)))
    if not command.words:
        rest = "command [options]"
    return [".PP", f"\\fB{_text(' '.join(('mugvos', *command.words)))}\\fR {_text(rest)}"]


def _paragraphs(command: Command) -> list[str]:
    paragraphs = command.paragraphs[:1] if not command.words else command.paragraphs
    lines = []
    for paragraph in paragraphs:
        if paragraph.startswith("\b"):
            if not _is_example(paragraph):
                lines += [".PP", *_verbatim(paragraph.splitlines()[1:])]
        elif paragraph:
            lines += [".PP", _text(" ".join(paragraph.split()))]
    return lines


def _is_example(paragraph: str) -> bool:
    return paragraph.startswith("\b\nExample")


def _examples(command: Command) -> list[str]:
    found = [paragraph for paragraph in command.paragraphs if _is_example(paragraph)]
    lines = [line for paragraph in found for line in paragraph.splitlines()[2:]]
    return [".SH EXAMPLES", *_verbatim(lines)] if lines else []


def _verbatim(lines: list[str]) -> list[str]:
    return [".nf", *(_text(line) for line in lines), ".fi"]


def _parameters(command: Command, heading: str) -> list[str]:
    lines = []
    if command.arguments:
        lines += [f"{heading} ARGUMENTS"] if heading == ".SH" else []
        lines += [
            line for argument in command.arguments for line in _item(f"\\fI{_text(argument.name)}\\fR", argument.help)
        ]
    if command.options:
        lines += [f"{heading} OPTIONS"] if heading == ".SH" else []
        lines += [line for option in command.options for line in _item(_flags(option), option.help)]
    return lines


def _flags(option: Option) -> str:
    flags = ", ".join(f"\\fB{_text(flag)}\\fR" for flag in option.flags)
    return f"{flags} \\fI{_text(option.value)}\\fR" if option.value else flags


def _subcommand(command: Command) -> list[str]:
    return [f'.SH "{_text(command.path.upper())}"', *_paragraphs(command), *_parameters(command, "")]


def _item(term: str, text: str) -> list[str]:
    return [".TP", term, _text(text) or "\\&"]


def _list(heading: str, items: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> list[str]:
    return [f".SH {heading}", *(line for name, text in items for line in _item(f"\\fB{_text(name)}\\fR", text))]


def _see_also(command: Command) -> list[str]:
    others = ["mugvos"] if command.words else [_page_name(child) for child in command.children]
    return [".SH SEE ALSO", ",\n".join(f"\\fB{_text(other)}\\fR(1)" for other in others)]


def _text(text: str) -> str:
    """Escaped: backslashes, hyphens (else typeset as dashes that cannot be copied), and dots that would be requests."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


def main(arguments: list[str]) -> int:
    """Write the files, or with --check only say which are stale."""
    check = arguments == ["--check"]
    changed = stale() if check else write()
    for name in changed:
        print(f"{'stale' if check else 'wrote'}: {name}")
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
