"""The commands that quantize a LIF network on a user's inputs, and simulate it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from isotau.cli import options
from isotau.convert.ground.errors import describe_findings


@options.spread
def quantize(
    network: options.AnyNetwork,
    inputs: options.Inputs,
    reading: options.NirReading,
    bits: options.Bits = 8,
    outliers: Annotated[
        str,
        typer.Option(
            help="A few weights much larger than the rest: split into a block of their "
            "own, clip, keep, or fit every block's exponent to all its weights."
        ),
    ] = "split",
    percentile: Annotated[
        float, typer.Option(help="Of the weights, beyond which they are outliers.")
    ] = 99.0,
    headroom: Annotated[
        float, typer.Option(help="Factor left between the states and their limits.")
    ] = 2.0,
    spikes: Annotated[
        bool,
        typer.Option(
            "--spikes",
            help="Inputs are 0 or one number and enter as spikes (Loihi 1).",
        ),
    ] = False,
    search: Annotated[
        bool,
        typer.Option("--search", help="Try head-rooms and ways with outliers instead."),
    ] = False,
    seed: options.Seed = 0,
    out: options.Out = Path("isotau-quantized"),
) -> None:
    """Quantize a LIF network, from NIR or isotau, on inputs of yours.

    The first half of the trials calibrates, the second half tests: how alike are the
    spikes of both stages and, with labels, how accurate? Leaves the network at both
    stages and quantization.json.
    """
    # Heavy imports wait until they are needed, so that --help is quick.
    from isotau.cli.progress import bars
    from isotau.convert.ground import files
    from isotau.convert.read.read_inputs import read_inputs
    from isotau.convert.records import storage
    from isotau.convert.records.stage import need_lif
    from isotau.convert.to_fixed.quantization_report import summarize as parameters
    from isotau.convert.to_fixed.quantize import QuantizeConfig
    from isotau.jobs.user_inputs import (
        describe_quantized,
        quantize_on,
        summarize_quantized,
    )
    from isotau.targets.open_network import open_network

    # What cannot be written is refused before minutes of work, not after.
    options.check_folder(out)
    opened = open_network(network, **reading.for_reader())
    # A rate network has to be converted first, integers cannot be rounded again.
    net = need_lif(opened.net, network)
    config = QuantizeConfig(
        headroom=headroom,
        num_weight_bits=bits,
        outliers=outliers,
        percentile=percentile,
        spiking_input=spikes,
    )
    # Channels are checked against the network, so that axes in another order show.
    trials = read_inputs(inputs, n_in=net.n_shown)
    result = quantize_on(
        net, trials, config=config, search=search, seed=seed, progress=bars
    )
    typer.echo(opened.description)
    if opened.findings:
        typer.echo(describe_findings(opened.findings))
    typer.echo(describe_quantized(result))
    # The LIF network too: what NIR left open is settled in it.
    storage.save(net, out / "network.lif.npz")
    storage.save(result.fixed, out / "network.fixed.npz")
    report = {
        # Names alone: a path tells of the machine, and changes with it.
        "network": network.name,
        "inputs": inputs.name,
        "seed": seed,
        **summarize_quantized(result),
        "quantization": parameters(result.report),
    }
    text = json.dumps(report, indent=1, ensure_ascii=False)
    files.write_text(out / "quantization.json", text)
    typer.echo(f"Networks and report: {out}")


@options.spread
def simulate(
    network: options.AnyNetwork,
    inputs: options.Inputs,
    reading: options.NirReading,
    engine: options.Engine = options.DEFAULT_ENGINE,
    seed: options.Seed = 0,
    out: Annotated[Path, typer.Option(help="File for the spikes, .npz.")] = Path(
        "spikes.npz"
    ),
) -> None:
    """Run a LIF or fixed-point network on inputs of yours and keep its spikes."""
    from isotau.cli.progress import bars
    from isotau.convert.read.read_inputs import read_inputs
    from isotau.convert.records import storage
    from isotau.convert.records.stage import need_spiking
    from isotau.jobs.user_inputs import describe_simulated, simulate_on
    from isotau.targets.open_network import open_network

    opened = open_network(network, **reading.for_reader())
    # Either stage: the same inputs through both show what rounding does.
    net = need_spiking(opened.net, network)
    if opened.findings:
        typer.echo(describe_findings(opened.findings))
    trials = read_inputs(inputs, n_in=net.n_shown)
    run = simulate_on(net, trials, engine=engine, seed=seed, progress=bars)
    # Saved before the summary is printed: a closed pipe must not cost the run.
    storage.save(run.spikes, out)
    typer.echo(describe_simulated(run))
    typer.echo(f"Spikes: {out}")
