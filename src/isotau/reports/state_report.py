"""What `isotau preserve` says of states: numbers, sentences and a table."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from isotau.jobs.timescales import lava_states
from isotau.jobs.timescales.preserve import NetworkTimescales
from isotau.sim.states import StateComparison, sentence, summary
from isotau.sim.timescales import Timescales

FEW = 4
"""Networks up to which every comparison has its sentence."""
HEADINGS = (
    "network", "stages", "verdict", "τ (ms)", "τ ratio", "within margin",
    "scatter (two runs)", "order", "in words",
)  # fmt: skip
SPIKES = "ml"
"""Estimator of spikes whose neurons are told beside states."""
CONFIDENCE = 0.95
Report = Mapping[str, Sequence[Mapping[str, Any]]]
"""By the names of networks, `numbers` of each."""


def numbers(network: NetworkTimescales) -> list[dict[str, Any]]:
    """Return the numbers of a network's comparisons, ready for JSON."""
    found = []
    for each in network.states:
        spikes = of_spikes(network, each.a, each.b)
        said = f"{sentence(each)} {_spikes_say(spikes, each)}"
        by_rules = published(network, each.a, each.b)
        if by_rules is not None:
            said += f" {_published_say(by_rules)}"
        told = {"spikes": spikes, "spikes_published": by_rules, "sentence": said}
        found.append(summary(each) | told)
    if network.lava is not None:
        found.append(lava_states.numbers(network.lava))
    return found


def of_spikes(network: NetworkTimescales, a: str, b: str) -> dict[str, Any]:
    """Return how many neurons' spikes tell a τ at both stages, and their ratio."""
    return _ratio_of(*(network.stages[x].timescales[SPIKES][0] for x in (a, b)))


def published(network: NetworkTimescales, a: str, b: str) -> dict[str, Any] | None:
    """Return the same by the published rules; None if they could not be followed."""
    first, second = (network.stages[x].published for x in (a, b))
    return None if first is None or second is None else _ratio_of(first, second)


def _ratio_of(a: Timescales, b: Timescales) -> dict[str, Any]:
    """Return how many neurons have a τ at both stages, and the mean ratio of them."""
    both = np.isfinite(a.tau) & np.isfinite(b.tau)
    logs, count = np.log(b.tau[both] / a.tau[both]), int(both.sum())
    ratio: list[float | None] = [None, None, None]
    if count:
        ratio[0] = math.exp(logs.mean())
    if count > 2:
        quantile = stats.t.ppf(0.5 + CONFIDENCE / 2, count - 1)
        reach = quantile * logs.std(ddof=1) / math.sqrt(count)
        ratio[1:] = (math.exp(logs.mean() + sign * reach) for sign in (-1, 1))
    return {"neurons": count, "ratio": ratio}


def _published_say(spikes: Mapping[str, Any]) -> str:
    """Return what a reader of the papers would see, who has no interval of a neuron."""
    count, ratio = spikes["neurons"], spikes["ratio"]
    if ratio[0] is None:
        return "By the published rules no neuron has one at both."
    return (
        f"By the published rules {count} {'have' if count > 1 else 'has'} one at both: "
        f"{interval(ratio, '.2f')}."
    )


def _spikes_say(spikes: Mapping[str, Any], states: StateComparison) -> str:
    """Return whether spikes agree with states, as far as they tell.

    Args:
        spikes: from `of_spikes`; their interval agrees where it comes within the
            network's margin of the ratio of states.
        states: of the same stages.
    """
    count, (ratio, low, high) = spikes["neurons"], spikes["ratio"]
    if ratio is None:
        return "Spikes of no neuron could tell."
    text = f"Spikes of {count} neuron{'s' * (count > 1)} could tell"
    if low is None or not math.isfinite(states.pair.network.value):
        return f"{text}, too few to agree or not."
    room = 1 + states.margins.ratio
    near = math.exp(states.pair.network.value)
    agree = low <= near * room and near / room <= high
    return (
        f"{text}, and {'' if agree else 'dis'}agree: "
        f"{interval((ratio, low, high), '.2f')}."
    )


def sentences(report: Report) -> list[str]:
    """Return what states say: of few networks a sentence each, of many how many."""
    if len(report) <= FEW:
        named = len(report) > 1
        return [
            f"{name}: {each['sentence']}" if named else each["sentence"]
            for name, compared in report.items()
            for each in compared
        ]
    verdicts: dict[str, Counter[str]] = {}
    for compared in report.values():
        for each in compared:
            stages = f"{each['a']} → {each['b']}"
            verdicts.setdefault(stages, Counter())[each["verdict"]] += 1
    return [
        f"{stages}: "
        + ", ".join(f"{verdict} in {n}" for verdict, n in counts.most_common())
        + f" of {counts.total()} networks."
        for stages, counts in verdicts.items()
    ]


def rows(report: Report) -> list[list[str]]:
    """Return a row of text for each comparison of each network."""
    return [
        [name, f"{each['a']} → {each['b']}", each["verdict"], *_cells(each)]
        for name, compared in report.items()
        for each in compared
    ]


def _cells(each: Mapping[str, Any]) -> list[str]:
    """Return what stands in a row behind the verdict; of Lava its words alone."""
    if "ratio" not in each:
        return ["", "", "", "", "", each["sentence"]]
    first, second = (
        "none" if tau is None else f"{float(f'{1e3 * tau:.3g}'):g}"
        for tau in each["median_tau_s"]
    )
    floor = each["floor"]
    return [
        f"{first} → {second}",
        interval(each["ratio"]),
        f"{each['within']} of {each['units']}",
        f"{_number(each['scatter'])} ({_number(floor['scatter'])})",
        f"{_number(each['order'])} ({_number(floor['order'])})",
        each["sentence"],
    ]


def interval(ends: Sequence[float | None], form: str = ".3f") -> str:
    """Return a value, its lower and its upper end as text."""
    value, low, high = ends
    if value is None:
        return "none"
    if low is None or high is None:
        return f"{value:{form}} (no interval)"
    return f"{value:{form}} ({low:{form}} to {high:{form}})"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
