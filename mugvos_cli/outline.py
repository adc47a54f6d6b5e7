"""What the program offers, as plain data: commands, their arguments and options, their help. For manual and completion.

Knows Typer's command objects, through what they tell about themselves. Loads every command.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mugvos_cli.main import EPILOG, load, program
from mugvos_cli.table import COMMANDS


@dataclass(frozen=True)
class Option:
    """One option: its flags, how its value is written ("" for switches), its help with default and environment."""

    flags: tuple[str, ...]
    value: str
    help: str
    short_help: str
    choices: tuple[str, ...] = ()
    multiple: bool = False


@dataclass(frozen=True)
class Argument:
    """One positional argument as it is written in a synopsis."""

    name: str
    synopsis: str
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Command:
    """One command. `words`: as typed after `mugvos`. Paragraphs of help that begin with a backspace stay as typed."""

    words: tuple[str, ...]
    summary: str
    paragraphs: tuple[str, ...]
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    children: tuple["Command", ...] = field(default=())

    @property
    def path(self) -> str:
        """The command as typed, without the program's name."""
        return " ".join(self.words)

    def flattened(self) -> list["Command"]:
        """This command and everything below it."""
        return [self, *(found for child in self.children for found in child.flattened())]


def outline() -> Command:
    """The whole program."""
    root = program()
    root.help, root.short_help = root.help or "", root.help or ""
    children = [(name, load(name)) for name in COMMANDS if name in root.commands]
    context = root.make_context("mugvos", [], resilient_parsing=True)
    described = tuple(_command(command, (name,), context) for name, command in children)
    arguments, options = _parameters(root, context)
    return Command((), root.help.rstrip("."), (root.help, EPILOG), arguments, options, described)


def _command(command: Any, words: tuple[str, ...], parent: Any) -> Command:
    context = command.make_context(words[-1], [], parent=parent, resilient_parsing=True)
    paragraphs = tuple(paragraph.strip("\n") for paragraph in (command.help or "").split("\n\n"))
    summary = " ".join((command.short_help or paragraphs[0]).split()).rstrip(".")
    children = getattr(command, "commands", {}).items()
    arguments, options = _parameters(command, context)
    return Command(
        words,
        summary,
        paragraphs,
        arguments,
        options,
        tuple(_command(child, (*words, name), context) for name, child in children),
    )


def _parameters(command: Any, context: Any) -> tuple[tuple[Argument, ...], tuple[Option, ...]]:
    arguments, options = [], []
    for parameter in command.get_params(context):
        if getattr(parameter, "hidden", False):
            continue
        choices = tuple(item.value for item in parameter.shell_complete(context, "") if item.value)
        if parameter.param_type_name == "argument":
            arguments.append(_argument(parameter, choices))
        else:
            options.append(_option(parameter, choices))
    return tuple(arguments), tuple(options)


def _argument(parameter: Any, choices: tuple[str, ...]) -> Argument:
    name = (parameter.metavar or parameter.name.upper()).removesuffix("...")
    synopsis = name + ("..." if parameter.nargs == -1 else "")
    return Argument(name, synopsis if parameter.required else f"[{synopsis}]", _one_line(parameter.help), choices)


def _option(parameter: Any, choices: tuple[str, ...]) -> Option:
    value = "" if parameter.is_flag or parameter.count else parameter.metavar or parameter.name.upper()
    # Short flags first; the order of the help option's own would change from run to run.
    flags = (*sorted(parameter.opts, key=lambda flag: (len(flag) > 2, flag)), *parameter.secondary_opts)
    short_help = _one_line(parameter.help)
    facts = "; ".join(_facts(parameter))
    return Option(
        flags, value, f"{short_help} [{facts}]" if facts else short_help, short_help, choices, parameter.multiple
    )


def _facts(parameter: Any) -> Iterator[str]:
    """Default, range and environment variable, said in our own way: Typer's wording changes with its version."""
    default = parameter.default
    if default is True and parameter.secondary_opts:
        yield f"default: {parameter.opts[0]}"
    elif parameter.show_default and not parameter.is_flag and default not in (None, "") and not callable(default):
        yield f"default: {getattr(default, 'value', default)}"
    least, most = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if least is not None and not parameter.count:
        yield f"{least} or more" if most is None else f"{least} to {most}"
    elif most is not None:
        yield f"up to {most}"
    if parameter.envvar and parameter.show_envvar:
        yield f"environment: {parameter.envvar}"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
