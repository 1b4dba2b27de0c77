"""`isotau code`: which units hold what was shown, and how stably, at every stage."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from isotau.cli import options
from isotau.cli.network_commands import configure, read_network


@options.spread
def code(
    network: options.Network,
    carrying: options.Carrying,
    assumptions: options.AssumedOptions,
    trials: Annotated[
        int, typer.Option(help="Trials of the task from which the code is read.")
    ] = 200,
    quiet_trials: Annotated[
        int, typer.Option(help="Trials without input, for the timescales.")
    ] = 100,
    seconds: Annotated[float, typer.Option(help="Length of such a trial.")] = 1.0,
    out: options.Out = Path("isotau-code"),
) -> None:
    """Tell how stably long- and short-τ units hold a first stimulus, on the chip too.

    For tasks with a delay between two stimuli (dms-750, dms-lowrank). Converts the
    network, measures its timescales without input, and at every stage cross-temporal
    discriminability, decoders' half-lives and Fano factors. Leaves code.json and
    memory_code.png.

    Needs some minutes for 200 units.
    """
    # Heavy imports wait until they are needed, so that --help is quick.
    from isotau.cli.progress import bars
    from isotau.jobs.code_network import CodeConfig, code_network
    from isotau.jobs.origin import describe_input
    from isotau.reports import code_report, report

    read = read_network(network, assumptions, out)
    config = CodeConfig(
        run=configure(read.net, carrying, trials=trials),
        quiet_trials=quiet_trials,
        length=seconds,
    )
    measured = code_network(read.net, config, progress=bars)
    source = describe_input(network, read.conventions)
    path = code_report.write(measured, config, out, source)
    written = report.read(path)
    Console().print(code_report.table(written))
    for line in code_report.sentences(written):
        typer.echo(line)
    typer.echo(f"Numbers and picture: {path.parent}")
