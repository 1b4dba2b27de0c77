"""`isotau trace`: a recorded neuron against the chip's arithmetic."""

from pathlib import Path
from typing import Annotated

import typer


def trace(
    recording: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV with the columns input, v and spike, one row per step.",
            show_default=False,
        ),
    ],
    du: Annotated[int, typer.Option(help="Register of current decay, 0 to 4095.")],
    dv: Annotated[int, typer.Option(help="Register of voltage decay, 0 to 4095.")],
    vth: Annotated[int, typer.Option(help="Threshold register, 0 to 131071.")],
    weight: Annotated[int, typer.Option(help="Weight of the input, −255 to 255.")],
    weight_exp: Annotated[int, typer.Option(help="Exponent of the weight.")] = 0,
    bias_mant: Annotated[int, typer.Option(help="Mantissa of the bias.")] = 0,
    bias_exp: Annotated[int, typer.Option(help="Exponent of the bias.")] = 0,
    refractory: Annotated[int, typer.Option(help="Steps at reset after a spike.")] = 0,
    lag: Annotated[
        int | None,
        typer.Option(help="Rows from an input to its effect; found if not given."),
    ] = None,
    tolerance: Annotated[
        int, typer.Option(help="Rows within which spikes count as near.")
    ] = 2,
    v_scale: Annotated[
        float, typer.Option(help="Chip units per unit of the recorded v.")
    ] = 1.0,
) -> None:
    """Check a recorded neuron against the chip's arithmetic.

    Replays the recorded input through a neuron with the given registers. Status 1 if
    its spikes or v differ from the recorded ones.
    """
    from isotau.sim.engines.trace import (
        describe_replay,
        read_trace,
        replay,
        single_neuron,
    )

    # Registers as the chip has them, so that a datasheet's numbers can be typed.
    neuron = single_neuron(
        du=du,
        dv=dv,
        vth=vth,
        weight=weight,
        weight_exp=weight_exp,
        bias_mant=bias_mant,
        bias_exp=bias_exp,
        refractory=refractory,
    )
    recorded = read_trace(recording)
    comparison = replay(recorded, neuron, lag=lag, tolerance=tolerance, v_scale=v_scale)
    # A column that is misspelt would otherwise be missed without a word.
    if recorded.ignored:
        typer.echo(f"Columns ignored: {', '.join(recorded.ignored)}")
    typer.echo(describe_replay(comparison))
    # Status 1 as `check` and `verify` have it: it was compared, and differs.
    if not comparison.agrees:
        raise typer.Exit(1)
