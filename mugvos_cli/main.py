"""The program `mugvos`: finds a command by its name, runs it, and turns every fault into one line and an exit status.

Knows the names of the commands and one line about each. A command's module is imported only when that command runs or
its own help is asked, so that `mugvos --help` and shell completion start fast.
"""

import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from mugvos_cli import config, console, interrupt, options
from mugvos_cli.table import COMMANDS

EPILOG = (
    "Exit status: 0 done; 1 done in part, what failed is named on standard error; 2 wrong usage or unusable input; "
    "70 a bug in mugvos; 130 interrupted by Ctrl-C, 143 by SIGTERM: what was finished is kept."
)


def load(name: str) -> Any:
    """The command object of one command, with the options that every command has. Imports its module."""
    module = import_module(f"mugvos_cli.commands.{COMMANDS[name].module}")
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name)(getattr(module, name))
    command = typer.main.get_command(app)
    command.name, command.short_help = name, COMMANDS[name].help
    _complete(command)
    return command


def _complete(command: Any) -> None:
    """Give a command and its subcommands the common options, and keep the line breaks of examples in its help."""
    command.help = _verbatim_examples(command.help or "")
    if isinstance(command, TyperGroup):
        for subcommand in command.commands.values():
            _complete(subcommand)
    if not isinstance(command, TyperGroup) or command.invoke_without_command:
        known = {flag for param in command.params for flag in param.opts}
        command.params += [param for param in _common_params() if not known & set(param.opts)]


def _common_params() -> list[Any]:
    app = typer.Typer(add_completion=False)
    app.command()(options.common)
    params = list(typer.main.get_command(app).params)
    for param in params:
        param.expose_value = False
    return params


def _verbatim_examples(text: str) -> str:
    """Mark paragraphs with indented lines so that help does not re-wrap them."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(f"\b\n{p}" if re.search(r"^ +\S", p, re.MULTILINE) else p for p in paragraphs)


class Commands(TyperGroup):
    """The table of commands: listing needs one line each, only `resolve_command` loads the module."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, entry in COMMANDS.items():
            self.commands[name] = TyperCommand(name, short_help=entry.help, rich_help_panel=entry.group)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The real command in place of its line in the table; its defaults may come from mugvos.toml."""
        name, found, rest = super().resolve_command(ctx, args)
        if found is None or name is None:
            return name, found, rest
        command = load(name)
        if not ctx.resilient_parsing:
            ctx.default_map = {name: config.defaults(name, command)}
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what Typer would answer with its own words or silence is answered here."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, BrokenPipeError) as fault:
            raise typer.Exit(console.status_of(fault)) from fault

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands by group."""
        for group in dict.fromkeys(entry.group for entry in COMMANDS.values()):
            rows = [(name, COMMANDS[name].help) for name in self.commands if COMMANDS[name].group == group]
            if rows:
                with formatter.section(group):
                    formatter.write_dl(rows)

    def main(self, args: Sequence[str] | None = None, *unused: Any, **settings: Any) -> Any:
        """Run and leave with an exit status; never a traceback unless it is asked for."""
        console.reset()
        settings.update(standalone_mode=False, prog_name="mugvos")
        try:
            status = super().main(args, **settings)
            console.close_output()
        except KeyboardInterrupt as fault:
            status = console.status_of(fault)
        except Exception as fault:
            status = _status(fault)
        sys.exit(status if isinstance(status, int) else console.DONE)


def _status(fault: Exception) -> int:
    """What a fault means; Typer's word for Ctrl-C before a command runs is Abort."""
    if type(fault).__name__ == "Abort":
        return console.status_of(KeyboardInterrupt())
    return _usage(fault) if hasattr(fault, "format_message") else console.status_of(fault)


def _usage(fault: Any) -> int:
    """Wrong usage: one line, with the command whose help to read. No arguments at all: the help itself."""
    if type(fault).__name__ == "NoArgsIsHelpError":
        console.result(fault.format_message())
        return console.UNUSABLE
    message = " ".join(fault.format_message().split()).rstrip(".")
    ctx = getattr(fault, "ctx", None)
    console.error(f"{message}: see `{ctx.command_path if ctx else 'mugvos'} --help`")
    return console.UNUSABLE


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        console.result(f"mugvos {version('mugvos')}")
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def mugvos(
    version: bool = typer.Option(False, "--version", help="Print the version.", callback=_version, is_eager=True),
    debug: options.Debug = False,
) -> None:
    """Multi-granularity video segmentation: any mask, at any granularity, tracked through video."""


def program() -> Any:
    """The whole program as one command object; its `main` takes arguments and always ends in SystemExit."""
    return typer.main.get_command(app)


def run() -> None:
    """The entry point of the console script."""
    console.print_any_name()
    interrupt.hear_termination()
    program().main()


if __name__ == "__main__":
    run()
