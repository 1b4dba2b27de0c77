"""What docs/results/tuning.md says, from the figures in tuning.json."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.page import (
    Block,
    MarkdownTable,
    PageSection,
    ends,
    interval,
    made_by,
    number,
)

METHOD = """\
Every stage of a network sees the same test trials, none of which tuning has seen, with
the noise of all on. Accuracy is the task's published rule. Surrogate: SuperSpike of
a tenth of v_th − v_reset, slope 0.3 at threshold. What trains: input, recurrent and
output weights and the output's constant, Dale's law and absent synapses kept."""
AIM_SPEED, WISH_SPEED = 4.0, 8.0
"""How many times faster than Norse's cell a training step is meant to be."""
AIM_LOSS = 0.01
"""Largest loss of accuracy from rate network to chip that tuning is to leave."""
Rows = Sequence[dict[str, Any]]


def tuning_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page, of the parts that have been measured."""
    parts = figures["figures"]
    # Parts are measured one by one, each at a commit of its own.
    origin = figures["provenance"] | {
        "commit": ", ".join(
            sorted({part["made"]["commit"] for part in parts.values()})
        ),
        "uncommitted": any(part["made"]["uncommitted"] for part in parts.values()),
    }
    sections: dict[str, Callable[[Rows], PageSection]] = {
        "speed": _speed,
        "memory": _memory,
        "networks": _networks,
        "bits": _bits,
        "letters": _letters,
        "timescales": _timescales,
        "methods": _methods,
        "device": _device,
    }
    return PageSection(
        "Tuning by gradient: figures",
        [
            made_by(origin, "benchmarks.tuning", "tuning.json")
            + " No GPU was at hand.",
            METHOD,
            *(
                section(parts[name]["rows"])
                for name, section in sections.items()
                if name in parts
            ),
        ],
    )


def _speed(sizes: Rows) -> PageSection:
    rows = [
        [
            f"{size['neurons']}",
            f"{size['steps']}",
            f"{size['batch']}",
            "yes" if size["readout"] else "no",
            f"{100 * size['share']:.1f} %",
            f"{1e3 * size['norse_cell_s']:.0f}",
            f"{1e3 * size['norse_loop_s']:.0f}",
            f"{1e3 * size['fused_s']:.1f}",
            f"**{size['norse_cell_over_fused']:.1f}×**",
            f"{size['spikes_that_differ']}",
            f"{size['gradients_differ']:.1e}",
            f"{size['norse_cell_mib']:.0f}, {size['fused_mib']:.0f}",
        ]
        for size in sizes
    ]
    return PageSection(
        "A training step (`speed`)",
        [
            "Forward, a fixed random weighting of spikes (or outputs) as loss, "
            f"backward; float32, {sizes[0]['threads']} threads, medians of "
            f"{sizes[0]['repetitions']} turns (ms); ratios are medians over turns. "
            f"Aim: {AIM_SPEED:.0f}× at N = 200, T = 1000, batch 32 (wish: "
            f"{WISH_SPEED:.0f}×), memory no larger. Weights are any float32 numbers "
            "here: torch's matrix product sums in an order of its own, so a spike may "
            "differ where v comes within rounding of the threshold, and from there on "
            "the network and its gradient are others. In float64, and where the sums "
            "are exact, none does (tests).",
            MarkdownTable(
                [
                    *("N", "T", "batch", "readout", "spikes a step", "Norse's cell"),
                    *("Norse's step", "fused", "cell / fused", "spikes that differ"),
                    *("gradients differ", "MiB: cell, fused"),
                ],
                rows,
            ),
        ],
    )


def _memory(runs: Rows) -> PageSection:
    steps = sorted({run["steps"] for run in runs})
    methods = list(dict.fromkeys(run["method"] for run in runs))
    peaks = {(run["method"], run["steps"]): run["grown_mib"] for run in runs}
    rows = [
        [method, *(f"{peaks[method, number]:.0f}" for number in steps)]
        for method in methods
    ]
    return PageSection(
        "Memory by the length of a trial (`memory`)",
        [
            "MiB by which the peak of a process grew for one gradient, N = 200, "
            "batch 8.",
            MarkdownTable(["method", *(f"T = {number}" for number in steps)], rows),
        ],
    )


def _networks(networks: Rows) -> PageSection:
    rows = []
    for network in networks:
        after, minutes = "not tuned", ""
        if "after" in network:
            after = f"{_stages(network['after'])} {ends(*network['interval'], '+.3f')}"
            minutes = f"{network['seconds_to_convert_and_tune'] / 60:.1f}"
        rows.append(
            [
                network["name"],
                network["task"],
                network["method"],
                _stages(network["before"]),
                f"{network['lost']:+.3f}",
                after,
                minutes,
            ]
        )
    tuned = [network for network in networks if "after" in network]
    # Accuracies are shares of some hundred trials: their difference has rounding.
    reached = sum(network["lost_after"] <= AIM_LOSS + 1e-9 for network in tuned)
    slowest = max(
        (network["seconds_to_convert_and_tune"] for network in tuned), default=0.0
    )
    head = ["network", "task", "conversion", "as converted", "lost", "tuned", "minutes"]
    return PageSection(
        "Networks whose conversion lost accuracy (`networks`)",
        [
            "Tuned through the chip's arithmetic where rate − chip exceeded "
            f"{AIM_LOSS}. Aim: at most {AIM_LOSS} lost afterwards, in less than ten "
            f"minutes: {reached} of {len(tuned)}, the slowest in {slowest / 60:.1f} "
            "minutes with conversion and scoring. Accuracies: rate / LIF / chip; "
            "interval: chip − rate, 95 %, paired.",
            MarkdownTable(head, rows),
        ],
    )


def _bits(networks: Rows) -> PageSection:
    blocks: list[Block] = [
        "plain: rounded as `quantize` does; fit: each block's exponent with the least "
        "squared error; tuned: from there, through the chip's arithmetic. Timescales "
        "of the chip against those of the rate network and of the float LIF network as "
        "converted: verdict, and the shift of log τ by `ml` with its interval."
    ]
    for network in networks:
        rows = [
            [
                f"{row['bits']}",
                row["way"],
                f"{row['accuracy']['fixed']:.3f}",
                f"{row['rate_hz']:.1f}",
                *(_verdict(row[f"{stage}_to_fixed"]) for stage in ("rate", "lif")),
            ]
            for row in network["rows"]
        ]
        head = ["bits", "way", "accuracy", "Hz", "rate to chip", "LIF to chip"]
        title = f"{network['name']}: {network['task']}, N = {network['n']}"
        blocks.append(PageSection(title, [MarkdownTable(head, rows)]))
    return PageSection("Bits per weight (`bits`)", blocks)


def _letters(results: Rows) -> PageSection:
    ways = ("split", "clip", "fit", "tuned")
    tuned = {result["bits"]: result["tuned"] for result in results}
    rows = [
        [
            f"{result['bits']}",
            *(f"{result[way]:.4f}" for way in ways),
            f"{result['seconds']:.0f}",
        ]
        for result in results
    ]
    return PageSection(
        "Bits per weight, a network that snnTorch trained (`letters`)",
        [
            "40 recurrent and 7 readout neurons, read from snnTorch's own file; 1400 "
            f"test sweeps on the chip; {results[0]['float']:.4f} in floats. Rounded in "
            "three ways with large weights, and tuned through the chip's arithmetic on "
            "the 4200 sweeps of training. From 8 bits to 4, tuned: "
            f"{tuned[4] - tuned[8]:+.4f}; aim: a loss of at most {AIM_LOSS}.",
            MarkdownTable(["bits", *ways, "s to tune"], rows),
        ],
    )


def _timescales(networks: Rows) -> PageSection:
    blocks: list[Block] = [
        "States at rest (x of the rate network, i of the LIF network, u on the chip) "
        "against those of the rate network, unit by unit: the median ratio of τ, the "
        "SD of its logarithm and the correlation of log τ, τ being where the "
        "autocovariance about the trials' mean falls to 1/e; the rms difference of "
        "autocorrelations up to 0.5 s; the median ratio of SDs; and how many units "
        "have a τ in both. 200 trials of 1 s; the first row is the floor. “Converted "
        "plainly” is a calibration with half the usual drive per unit of x and without "
        f"trials of rest. Weight of the term {networks[0]['weight']:g}; what trains: "
        f"{', '.join(networks[0]['trained'])}; accuracy of 200 trials."
    ]
    head = ["bits", "way", "accuracy", "Hz", "τ ratio", "SD of log", "correlation"]
    head += ["ACF rms", "SD ratio", "units", "s"]
    for network in networks:
        rows = [
            [
                "float" if row["bits"] is None else f"{row['bits']}",
                row["way"],
                number(row.get("accuracy"), ".3f"),
                number(row.get("rate_hz"), ".1f"),
                number(row["tau_ratio"], ".3f"),
                number(row["log_ratio_sd"], ".3f"),
                number(row["correlation"], ".3f"),
                number(row["autocorrelation_rms"], ".3f"),
                number(row["sd_ratio"], ".3f"),
                f"{row['taus']} of {row['of']}",
                number(row.get("seconds"), ".0f"),
            ]
            for row in network["rows"]
        ]
        title = f"{network['name']}: {network['task']}"
        how = (
            f"{network['updates']} updates; errors in the size of a curve count "
            f"{network.get('amplitude', 1.0):g} times those in its shape."
        )
        blocks.append(PageSection(title, [how, MarkdownTable(head, rows)]))
    return PageSection("Timescales (`timescales`)", blocks)


def _methods(methods: Rows) -> PageSection:
    rows = [
        [
            method["method"],
            f"{method['learning_rate']:g}",
            f"{method['accuracy']:.3f}",
            f"{method['loss']:.4f}",
            f"{1e3 * method['seconds_per_update']:.0f}",
        ]
        for method in methods
    ]
    head = ["method", "learning rate", "accuracy", "loss", "ms an update"]
    return PageSection(
        "Four ways to find gradients (`methods`)",
        [
            "Go-NoGo from scratch, N = 100, no membrane noise (EventProp cannot have "
            "it), the same updates and trials; each method with the best of four "
            "learning rates, median of three networks. An update of FPTT is a batch: "
            "ten steps of Adam. EventProp's gradient is cut every 100 steps. Accuracy "
            "and loss on held-out trials, of the evaluation with the least loss.",
            MarkdownTable(head, rows),
        ],
    )


def _device(networks: Rows) -> PageSection:
    (network,) = networks
    noises = list(network["rows"][0]["accuracies"])
    rows = []
    for row in network["rows"]:
        accuracies = [row["accuracies"][noise] for noise in noises]
        rows.append(
            [row["way"], *(f"{sum(a) / len(a):.3f} ({min(a):.3f})" for a in accuracies)]
        )
    return PageSection(
        "Imprecise devices (`device`)",
        [
            f"{network['name']}, float LIF stage, on {network['devices']} devices each "
            "of whose weights err by a number of its own (standard deviation as a "
            "share of the typical weight); mean accuracy (least). Noise in tuning: "
            f"{network['tuned_for']}; coarse: steps of 1/{network['levels']} of the "
            "largest weight.",
            MarkdownTable(["way", *noises], rows),
        ],
    )


def _stages(accuracy: dict[str, float]) -> str:
    return " / ".join(f"{accuracy[stage]:.3f}" for stage in ("rate", "lif", "fixed"))


def _verdict(comparison: dict[str, Any]) -> str:
    value, low, high = comparison["intervals"]["ml"]["shift"]
    if value is None or low is None:
        return str(comparison["verdict"])
    return f"{comparison['verdict']}: {interval(value, low, high, '+.2f')}"
