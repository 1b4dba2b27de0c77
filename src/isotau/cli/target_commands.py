"""The commands that hand networks to targets: check, export, verify, place."""

import json
from pathlib import Path
from typing import Annotated

import typer

from isotau.cli import options
from isotau.convert.ground.errors import (
    Finding,
    as_json,
    describe_findings,
    exit_status,
)
from isotau.targets.check import TARGETS
from isotau.targets.export import EXPORTERS
from isotau.targets.loihi.limits import CHIPS

# `--to` as `export` has it, `--target` as the question is asked: both are typed.
Target = Annotated[str, typer.Option("--target", "--to", help=options.any_of(TARGETS))]
ChipName = Annotated[str, typer.Option("--chip", help=options.any_of(CHIPS))]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@options.spread
def check(
    network: options.AnyNetwork,
    reading: options.NirReading,
    target: Target = "loihi2",
    json_: AsJson = False,
) -> None:
    """Say everything that a target cannot hold of a network.

    Each finding names its place, what was found and what is done about it. Status 0:
    nothing is lost; 1: it can be handed over and will not be the same; 2: it cannot.
    """
    from isotau.convert.records.stage import stage_name
    from isotau.targets.check import check as find
    from isotau.targets.nir_graph.graph import CannotImport
    from isotau.targets.open_network import open_network

    try:
        opened = open_network(network, **reading.for_reader())
    except CannotImport as refusal:
        # A damaged file is an error of the command; a sound graph that asks for what no
        # LIF network does is what `check` is there to tell.
        if refusal.damaged:
            raise
        findings, stage = list(refusal.findings), "nir"
        summary = "not read, for these reasons"
    else:
        # Losses of the way in count as much as those of the way out.
        findings = [*opened.findings, *find(opened.net, target)]
        stage, summary = stage_name(opened.net), opened.description
    # Scripts read the status: 0 nothing lost, 1 something, 2 it cannot be done.
    status = exit_status(findings)
    if json_:
        report = {
            "network": network.name,
            "stage": stage,
            "target": target,
            "status": status,
            "findings": as_json(findings),
        }
        typer.echo(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        typer.echo(summary)
        typer.echo(describe_findings(findings) or f"{target}: everything fits")
    raise typer.Exit(status)


@options.spread
def export(
    network: options.AnyNetwork,
    reading: options.NirReading,
    to: Annotated[str, typer.Option("--to", help=options.any_of(EXPORTERS))],
    out: Annotated[
        Path | None,
        typer.Option(help="File, or folder for Lava; named after NETWORK if left out."),
    ] = None,
    step: Annotated[
        bool, typer.Option("--step", help="ONNX: a graph of one step, not of a run.")
    ] = False,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="ONNX of a rate or LIF network: float32 or float64.",
            show_default=False,
        ),
    ] = None,
    reader: Annotated[
        str, typer.Option(help="NIR: who is to read it: any, norse, snntorch or spyx.")
    ] = "any",
    chip: Annotated[
        str, typer.Option("--chip", help="Lava: whose commands the script explains.")
    ] = "loihi2",
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Lava: write into a folder with other files."),
    ] = False,
) -> None:
    """Write a network for another system: NIR, ONNX, or a script for Lava.

    What the target cannot hold is said, all of it, before anything is written; with an
    error nothing is.
    """
    from isotau.targets.export import Request, find_exporter
    from isotau.targets.export import export as export_network
    from isotau.targets.open_network import open_network

    find_exporter(to)  # a wrong name is told before a large file is read in vain
    opened = open_network(network, **reading.for_reader())
    # One record for all systems: what one does not know is refused by its exporter.
    request = Request(
        network=network,
        out=out,
        step=step,
        dtype=dtype,
        reader=reader,
        chip=chip,
        overwrite=overwrite,
    )
    findings, path = export_network(opened.net, to, request)
    # What reading inferred stands before what writing loses: it may be the cause.
    _print_findings([*opened.findings, *findings])
    typer.echo(f"Written: {path}")


def verify(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE.onnx", help="An ONNX graph.", show_default=False),
    ],
    network: options.AnyNetwork,
    trials: Annotated[int, typer.Option(help="Random trials.")] = 4,
    steps: Annotated[int, typer.Option(help="Steps of each.")] = 200,
    seed: options.Seed = 0,
    json_: AsJson = False,
) -> None:
    """Run an ONNX graph beside the network that it was made from and compare.

    A fixed-point network must give the same spikes, u, v and state, bit for bit.
    Status 1 if anything differs.
    """
    # The reference engine: an oracle that shares no kernel with what is verified.
    from isotau.sim.engines import reference
    from isotau.targets.onnx_model.verify_onnx import as_json as result_as_json
    from isotau.targets.onnx_model.verify_onnx import describe as describe_result
    from isotau.targets.onnx_model.verify_onnx import verify_onnx
    from isotau.targets.open_network import open_network

    opened = open_network(network)
    # The graph runs in a child process under limits: the file may be hostile.
    result = verify_onnx(
        file, opened.net, trials=trials, steps=steps, seed=seed, engine=reference.run
    )
    numbers = json.dumps(result_as_json(result), indent=1)
    typer.echo(numbers if json_ else describe_result(result))
    raise typer.Exit(0 if result.identical else 1)


def place(
    network: options.AnyNetwork,
    chip: ChipName = "loihi2",
    chips: Annotated[int, typer.Option(help="Chips that may be used.")] = 1,
    group: Annotated[
        bool,
        typer.Option(
            "--group", help="Share compartment profiles first: 32, with the loss said."
        ),
    ] = False,
    inputs: options.OptionalInputs = None,
    seed: options.Seed = 0,
    out: options.Out = Path("isotau-placed"),
) -> None:
    """Place a fixed-point network on a chip's cores and say what it costs.

    Leaves the network, a table of the cores and a drawing. With inputs the network
    runs on them, and energy and time per trial are estimated from what was counted.
    """
    from isotau.cli.progress import bars
    from isotau.convert.read.read_inputs import read_inputs
    from isotau.convert.records.stage import need_fixed
    from isotau.jobs.place_network import describe as describe_placed
    from isotau.jobs.place_network import place_network, write
    from isotau.targets.open_network import open_network

    # What cannot be written is refused before minutes of work, not after.
    options.check_folder(out)
    net = need_fixed(open_network(network).net, network)
    # Without inputs nothing can be counted: cores are placed, joules are not given.
    trials = None if inputs is None else read_inputs(inputs, n_in=net.n_shown)
    placed = place_network(
        net,
        chip,
        chips=chips,
        inputs=trials,
        group=group,
        seed=seed,
        progress=bars,
    )
    write(placed, out)
    typer.echo(describe_placed(placed))
    typer.echo(f"Table and drawing: {out}")


def _print_findings(findings: list[Finding]) -> None:
    """Print findings, and no empty line where there are none."""
    text = describe_findings(findings)
    if text:
        typer.echo(text)
