"""`isotau place`: a network on a chip's cores, drawn, and what it costs."""

import json
from pathlib import Path
from typing import NamedTuple

from isotau.convert.ground import files, validation
from isotau.convert.ground.errors import Finding, describe_findings
from isotau.convert.ground.errors import as_json as findings_as_json
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.read.read_inputs import Inputs
from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.spikes import Spikes
from isotau.convert.to_fixed.quantize import messages
from isotau.jobs.user_inputs import check_inputs
from isotau.sim.engines import compiled
from isotau.targets.loihi import place as table
from isotau.targets.loihi.cost import Cost, cost, describe_cost
from isotau.targets.loihi.cost import as_json as cost_as_json
from isotau.targets.loihi.limits import CHIPS
from isotau.targets.loihi.neurobench import neurobench
from isotau.targets.loihi.place import Placement, place
from isotau.targets.loihi.plot_placement import plot_placement
from isotau.targets.loihi.traffic import traffic
from isotau.targets.on_lava.profiles import findings_of_grouping, group_profiles

MOST_DRAWN = 8
"""Chips of which a picture is made, which takes seconds."""


@short_repr
class Placed(NamedTuple):
    """A network on cores; what running it costs, if it was run."""

    net: FixedPointNetwork
    findings: tuple[Finding, ...]
    """What sharing profiles did to the network."""
    placement: Placement
    spikes: Spikes | None
    cost: Cost | None
    neurobench: dict[str, object] | None


def place_network(
    net: FixedPointNetwork,
    chip: str,
    *,
    chips: int = 1,
    inputs: Inputs | None = None,
    group: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> Placed:
    """Return a network on the cores of a chip and, with inputs, what they cost.

    Args:
        net: the network.
        chip: one of `CHIPS`.
        chips: how many there are.
        inputs: what the network is shown.
        group: whether neurons share profiles first, so that a core holds them all.
        seed: of its noise.
        progress: is given the steps as they pass.

    Raises:
        ValueError: an unknown chip, or inputs of another network.
        DoesNotFit: the network has no place; the message names the limit.
    """
    limits = CHIPS[validation.choice("--chip", chip, list(CHIPS))]
    findings: tuple[Finding, ...] = ()
    if group:
        grouped = group_profiles(net)
        net, findings = grouped.net, tuple(findings_of_grouping(grouped))
    placement = place(net, limits, chips=chips)
    # Traffic, and so energy and time, depends on what the network is shown.
    if inputs is None:
        return Placed(net, findings, placement, None, None, None)
    check_inputs(net, inputs)
    sent = messages(net, inputs.values, seed=seed)
    spikes = compiled.run(net, sent, seed=seed, progress=progress).spikes
    estimate = cost(net, spikes, limits, placement, sent)
    metrics = neurobench(net, spikes, sent)
    return Placed(net, findings, placement, spikes, estimate, metrics)


def write(placed: Placed, folder: Path) -> None:
    """Leave the network, its cores as CSV, all as JSON, a drawing of each chip."""
    # Shared profiles change the network: the one that was placed is the one to load.
    storage.save(placed.net, folder / "network.fixed.npz")
    report = {
        "chip": placed.placement.chip.name,
        "grouping": findings_as_json(placed.findings),
        "cores": table.as_json(placed.placement),
        "core_of_neuron": placed.placement.core.tolist(),
        "cost_per_trial": None if placed.cost is None else cost_as_json(placed.cost),
        "neurobench": placed.neurobench,
    }
    text = json.dumps(report, indent=1, ensure_ascii=False)
    files.write_text(folder / "placement.json", text)
    files.write_text(folder / "cores.csv", table.as_csv(placed.placement))
    flow = None  # Without spikes only the cores are drawn.
    if placed.spikes is not None:
        flow = traffic(placed.net, placed.placement, placed.spikes)
    for chip in range(min(placed.placement.chips, MOST_DRAWN)):
        axes = plot_placement(placed.placement, chip_number=chip, traffic=flow)
        name = f"chip_{chip}.png"
        with files.atomic(folder / name) as stream:
            axes.figure.canvas.print_figure(stream, format="png", dpi=150)


def describe(placed: Placed) -> str:
    """Return the table of cores, and below it the cost if it is known."""
    text = table.describe_placement(placed.placement)
    # What was changed stands above what came of it.
    if placed.findings:
        text = f"{describe_findings(placed.findings)}\n{text}"
    chips = placed.placement.chips
    if chips > MOST_DRAWN:
        text += (
            f"\ndrawn: the first {MOST_DRAWN} of {chips} chips; all are in cores.csv"
        )
    return text if placed.cost is None else f"{text}\n{describe_cost(placed.cost)}"
