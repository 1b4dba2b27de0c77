"""What `isotau preserve` leaves: numbers, tables, pictures, and one page to read."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from isotau.convert.ground import files
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.read.conventions import Read
from isotau.convert.read.read_rate import read_rate
from isotau.jobs.measure_recorded import file_stem, names_of, quartiles
from isotau.jobs.preserve import (
    COMPARED,
    METHODS,
    STAGES,
    NetworkTimescales,
    PreserveConfig,
    StageComparison,
    compare_stages,
    measure_networks,
)
from isotau.reports.origin import describe_input, versions
from isotau.reports.preserve_page import page
from isotau.sim.plot import plot_agreement, plot_preservation
from isotau.sim.plot.draw import picture
from isotau.sim.preservation import Curves, Pair, lines, summary, write_json
from isotau.sim.preservation.files import plain
from isotau.sim.tasks.choose_task import choose_task
from isotau.sim.timescales.records import record

PICTURES = {
    "forest": ("Ratio of τ ({method}) of each network and of all; shaded: margin", 2.2),
    "scatter": ("Each neuron's τ ({method}) at both stages; shaded: margin", 4.4),
    "bland_altman": ("Log ratio against τ; the floor is a stage and its repeat", 3.8),
    "attrition": ("Neurons that keep, lose and gain a timescale, and repeats", 3.4),
    "curves": ("Mean autocorrelations, without any fit", 3.8),
    "distributions": ("Distribution of τ ({method})", 3.8),
    "quantiles": ("Quantiles of the two distributions of τ", 4.4),
    "rate": ("Does the ratio depend on a neuron's rate?", 3.8),
    "tau_syn": ("Does it depend on a neuron's synaptic time constant?", 3.8),
}
"""Caption of each picture, and its height in inches."""


class Network(NamedTuple):
    """A network as it was read.

    Attributes:
        name: unlike that of any other.
        read: the network, and what was assumed of it.
        said: what is to be said of its file.
    """

    name: str
    read: Read
    said: Mapping[str, Any]


class Study(NamedTuple):
    """Networks measured at every stage, and what came of it.

    Attributes:
        networks: all of them.
        comparisons: of two stages each.
        config: what was asked for.
        inputs: what is to be said of each network's file.
    """

    networks: Sequence[NetworkTimescales]
    comparisons: Sequence[StageComparison]
    config: PreserveConfig
    inputs: Sequence[Mapping[str, Any]]


def read_networks(
    paths: Sequence[Path], assumed: Mapping[str, Any], task: str | None
) -> tuple[list[Network], str]:
    """Return all networks, and the name of the task that they have in common.

    Raises:
        UnreadableFile: a file that is damaged or no network.
        ValueError: a network that does not fit the task; the message names its file.
    """
    found, name = [], ""
    for label, path in zip(names_of(paths), paths, strict=True):
        read = read_rate(path, **assumed)
        try:
            name = choose_task(read.net, task).name
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        found.append(Network(label, read, describe_input(path, read.conventions)))
    return found, name


def assumptions(networks: Sequence[Network]) -> list[str]:
    """Return what was assumed of the networks, once for all that it is said of."""
    said: dict[str, list[str]] = {}
    for network in networks:
        said.setdefault(network.read.conventions.describe(), []).append(network.name)
    if len(networks) == 1:
        return list(said)
    return [f"{len(names)} from {names[0]}\n{text}" for text, names in said.items()]


def measure(
    networks: Sequence[Network],
    config: PreserveConfig,
    *,
    jobs: int = 1,
    progress: Progress = silent,
) -> Study:
    """Return the timescales of all networks at every stage, and what came of it.

    Raises:
        ValueError: a network that does not fit the task.
        DoesNotFit: one that does not fit the chip.
    """
    found = measure_networks(
        [(network.name, network.read.net) for network in networks],
        config,
        jobs=jobs,
        progress=progress,
    )
    return Study(
        networks=found,
        comparisons=[
            compare_stages(found, a, b, margins=config.margins, seed=config.run.seed)
            for a, b in COMPARED
        ],
        config=config,
        inputs=[network.said for network in networks],
    )


def write(study: Study, out: Path) -> Path:
    """Write everything into a folder; return the path of the page.

    preservation.html and preservation.json; neurons.csv with every neuron's time
    constants; timescales/ with what each estimator said of each run; and for each
    comparison a folder such as rate-lif/ with pictures and the comparison in full, one
    JSON file for each estimator.
    """
    for network in study.networks:
        for stage, measured in network.stages.items():
            for method, runs in measured.timescales.items():
                for run, end in zip(runs, ("", ".again"), strict=True):
                    stem = f"{file_stem(network.name)}.{stage}.{method}{end}"
                    record.write_csv(run, out / "timescales" / f"{stem}.csv")
    files.write_text(out / "neurons.csv", neurons_csv(study.networks))
    pictures = []
    for comparison in study.comparisons:
        folder = out / f"{comparison.a}-{comparison.b}"
        for method, found in comparison.by_method.items():
            write_json(found, folder / f"{method}.json")
        pictures.append(draw(study.networks, comparison, folder))
    report = numbers(study)
    text = json.dumps(report, indent=1, allow_nan=False)
    files.write_text(out / "preservation.json", text + "\n")
    shown = page(report, pictures, list(map(_details, study.comparisons)))
    return files.write_text(out / "preservation.html", shown)


def numbers(study: Study) -> dict[str, Any]:
    """Return what is to be said of a study, ready for JSON; None for no number.

    Shift, scatter and loss are value, lower and upper end; shift is a log ratio.
    """
    config = study.config
    return {
        "task": config.run.task,
        "seeds": {n.name: config.run.seed + k for k, n in enumerate(study.networks)},
        "comparisons": [
            {
                "a": found.a,
                "b": found.b,
                "verdict": found.conclusion.verdict.value,
                "reason": found.conclusion.reason,
                "verdicts": plain(found.conclusion.verdicts),
                "primary": found.conclusion.primary,
                "by_method": {m: summary(each) for m, each in found.by_method.items()},
                "curves": plain(found.curves),
            }
            for found in study.comparisons
        ],
        "networks": [
            _network(network) | dict(said)
            for network, said in zip(study.networks, study.inputs, strict=True)
        ],
        "settings": plain(config),
        "versions": versions(),
    }


def neurons_csv(networks: Sequence[NetworkTimescales]) -> str:
    """Return a row for each neuron: nominal, effective and measured time constants."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    runs = [(stage, method) for stage in STAGES for method in METHODS]
    writer.writerow(
        ["network", "neuron", "excitatory", "tau_syn_s", "tau_syn_effective_s"]
        + [f"tau_{stage}_{method}_s" for stage, method in runs]
    )
    for net in networks:
        columns = [net.tau_syn, net.tau_syn_effective]
        columns += [net.stages[stage].timescales[m][0].tau for stage, m in runs]
        for k, row in enumerate(np.stack(columns, axis=1).tolist()):
            writer.writerow([net.name, k, int(net.excitatory[k]), *map(repr, row)])
    return text.getvalue()


def draw(
    networks: Sequence[NetworkTimescales], found: StageComparison, folder: Path
) -> dict[str, bytes]:
    """Draw a comparison's pictures into a folder; return them by their captions."""
    method = found.conclusion.primary
    names, preservation = (found.a, found.b), found.by_method[method]
    pairs, curves = _pairs(networks, found, method), _curves(networks, found)
    width = networks[0].stages[found.a].curve_bin
    margin = preservation.config.shift_margin
    onto: dict[str, Callable[..., Any]] = {
        "forest": partial(plot_preservation.forest, preservation=preservation),
        "scatter": partial(plot_agreement.tau_scatter, pairs=pairs, margin=margin),
        "bland_altman": partial(plot_agreement.bland_altman, pairs=pairs),
        "attrition": partial(
            plot_preservation.attrition_bars, preservation=preservation
        ),
        "curves": partial(
            plot_preservation.mean_curves, curves=curves, bin_width=width
        ),
        "distributions": partial(plot_agreement.tau_distributions, pairs=pairs),
        "quantiles": partial(plot_agreement.tau_quantiles, pairs=pairs, margin=margin),
        "rate": partial(plot_agreement.ratio_against, pairs=pairs, by="rate"),
        "tau_syn": partial(plot_agreement.ratio_against, pairs=pairs, by="tau_syn"),
    }
    drawn = {}
    for name, (caption, height) in PICTURES.items():
        if name == "forest":
            height += 0.2 * min(len(networks), 40)
        path = folder / f"{name}.png"
        with picture(path, size=(4.8, height)) as grid:
            onto[name](grid[0, 0], names=names)
        drawn[caption.format(method=method)] = path.read_bytes()
    return drawn


def _details(found: StageComparison) -> str:
    """Return all numbers of a comparison as text."""
    said = [line for each in found.by_method.values() for line in lines(each)]
    said += [f"curves: {found.curves.verdict.value}", f"  {found.curves.reason}"]
    return "\n".join(said)


def _network(network: NetworkTimescales) -> dict[str, Any]:
    """Return what is to be said of one network; times are quartiles over neurons."""
    return {
        "name": network.name,
        "n_neurons": int(network.tau_syn.size),
        "n_excitatory": int(network.excitatory.sum()),
        "accuracy": plain(network.accuracy),
        "tau_syn_s": quartiles(network.tau_syn),
        "tau_syn_effective_s": quartiles(network.tau_syn_effective),
        "timescales": {
            stage: {
                method: record.summary(runs[0])
                | {"tau_quartiles_s": quartiles(runs[0].tau)}
                | {"n_timescales_again": record.summary(runs[1])["n_timescales"]}
                for method, runs in measured.timescales.items()
            }
            for stage, measured in network.stages.items()
        },
    }


def _pairs(
    networks: Sequence[NetworkTimescales], found: StageComparison, method: str
) -> list[Pair]:
    pairs = []
    for network in networks:
        a, b = (network.stages[x].timescales[method] for x in (found.a, found.b))
        runs: dict[str, Any] = dict(a=a[0], b=b[0], a_again=a[1], b_again=b[1])
        pairs.append(Pair(name=network.name, tau_syn=network.tau_syn, **runs))
    return pairs


def _curves(
    networks: Sequence[NetworkTimescales], found: StageComparison
) -> list[Curves]:
    curves = []
    for network in networks:
        a, b = (network.stages[x].curves for x in (found.a, found.b))
        runs = dict(a=a[0], b=b[0], a_again=a[1], b_again=b[1])
        curves.append(Curves(name=network.name, **runs))
    return curves
