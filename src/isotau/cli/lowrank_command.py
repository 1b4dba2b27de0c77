"""`isotau lowrank`: a low-rank network read through κ at every stage."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from isotau.cli import options
from isotau.cli.network_commands import configure, read_network


@options.spread
def lowrank(
    network: options.Network,
    carrying: options.Carrying,
    assumptions: options.AssumedOptions,
    trials: Annotated[
        int, typer.Option(help="Trials of the task; of up to 100 of them κ is read.")
    ] = 100,
    out: options.Out = Path("isotau-lowrank"),
) -> None:
    """Read a low-rank network: its modes, what they do on the chip, where they rest.

    Converts the network and follows κ, its activity along its modes, at every stage;
    finds the fixed points without input and the timescales predicted there. Leaves
    lowrank.json and low_rank.png with κ, overlaps, flow and eigenvalues.
    """
    # Heavy imports wait until they are needed, so that --help is quick.
    from isotau.cli.progress import bars
    from isotau.jobs.origin import describe_input
    from isotau.jobs.read_low_rank import read_low_rank
    from isotau.reports import low_rank_report, report

    read = read_network(network, assumptions, out)
    config = configure(read.net, carrying, trials=trials)
    reading = read_low_rank(read.net, config, progress=bars)
    source = describe_input(network, read.conventions)
    path = low_rank_report.write(reading, out, source)
    written = report.read(path)
    Console().print(low_rank_report.table(written))
    for line in low_rank_report.sentences(written):
        typer.echo(line)
    typer.echo(f"Numbers and picture: {path.parent}")
