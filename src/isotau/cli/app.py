"""The command line: parse, call, save, print."""

import sys
from typing import Annotated, NoReturn

import typer

import isotau
from isotau.cli import (
    code_command,
    foreign_commands,
    lowrank_command,
    network_commands,
    target_commands,
    timescale_commands,
    trace_command,
    train_command,
    tune_command,
)

# Plain help: boxes and colours of rich do not survive a pipe or a narrow terminal.
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Carry a trained rate RNN to simulated Loihi and measure its timescales.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"isotau {isotau.__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Carry a trained rate RNN to simulated Loihi and measure its timescales."""


# In the order of a network's way: --help lists the commands as they stand here.
for command in (
    network_commands.run,
    network_commands.convert,
    tune_command.tune,
    timescale_commands.preserve,
    timescale_commands.timescales,
    timescale_commands.compare,
    code_command.code,
    lowrank_command.lowrank,
    foreign_commands.quantize,
    foreign_commands.simulate,
    target_commands.check,
    target_commands.export,
    target_commands.verify,
    target_commands.place,
    train_command.train,
    trace_command.trace,
):
    app.command()(command)


def main() -> None:
    """Run the command line; bad input is one line on standard error and status 2."""
    try:
        # Typer's own mode would print boxes of its own for errors and end the process.
        status = app(standalone_mode=False)
    except typer.TyperException as error:
        _fail(error.format_message(), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    # What users get wrong raises these two; anything else is a fault of isotau's and
    # keeps its traceback.
    except (ValueError, OSError) as error:
        _fail(str(error), 2)
    # A command that caught the interrupt itself to save its work hands on the status.
    if status == 130:
        _fail("interrupted", 130)
    sys.exit(status or 0)


def _fail(message: str, status: int) -> NoReturn:
    # One line, whatever libraries put into their messages: scripts read it so.
    line = " ".join(message.split())
    typer.echo(f"isotau: {line}", err=True)
    sys.exit(status)
