"""The page that `isotau preserve` leaves: HTML without any other file or script."""

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from isotau.jobs.timescales.lava_states import DIFFERENT
from isotau.jobs.timescales.measure_recorded import in_ms
from isotau.reports import state_report
from isotau.sim.preservation import Verdict
from isotau.sim.states import Outcome

WATCHED = {
    "state": "x of a rate unit, i of its neurons and u on the chip",
    "rate": "every unit's spikes, filtered with 20 ms",
    "kappa": "κ, the network's place along its low-rank modes",
    "output": "the network's outputs",
}
"""What is compared, by its name."""
SHOWN = {
    "rest": "without input",
    "fixation": "with what stands before a stimulus",
    "delay": "in a delay that does not end",
    "after": "after the stimulus",
}
"""While what is shown, by the epoch's name."""
COLOURS = {
    DIFFERENT: "#b34700",
    Outcome.SHIFTED.value: "#7a5c00",
    Verdict.PRESERVED.value: "#00734f",
    Verdict.NOT_PRESERVED.value: "#b34700",
    Verdict.NOT_IDENTIFIABLE.value: "#595959",
}
MEANING = {
    Verdict.PRESERVED.value: "every interval lies inside its margin",
    Verdict.NOT_PRESERVED.value: "an interval lies wholly outside its margin",
    Verdict.NOT_IDENTIFIABLE.value: "these runs are too few, too short or too noisy to "
    "tell; this is no evidence for either of the others",
}
FEW = 4
"""Networks up to which their table is open."""
CSS = """
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;
padding:0 1rem;color:#1a1a1a}
h1,h2,h3{line-height:1.2}h2{margin-top:3rem;border-top:1px solid #ccc;padding-top:1rem}
.verdict{color:#fff;padding:.1em .5em;border-radius:.3em;white-space:nowrap}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid #ddd;
vertical-align:top}
.pictures{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start}
figure{margin:0;flex:1 1 20rem}.pictures figure{max-width:34rem}img{max-width:100%}
figcaption{font-size:.85rem;color:#444}
.wide{overflow-x:auto}pre{white-space:pre-wrap;background:#f6f6f6;padding:1rem}
"""


def spikes_in_words(report: Mapping[str, Any]) -> str:
    """Return what spikes alone tell of all networks, in a sentence."""
    said = ", ".join(
        f"{pair['a']} → {pair['b']} {pair['verdict']}" for pair in report["comparisons"]
    )
    return f"By spikes alone, as an experimenter counts them: {said}."


def page(
    report: Mapping[str, Any],
    pictures: Sequence[Mapping[str, bytes]],
    details: Sequence[str],
    states: Mapping[str, bytes],
) -> str:
    """Return a report as one page.

    Args:
        report: from `numbers`.
        pictures: PNG files by their captions, of each comparison.
        details: all numbers as text, of each comparison.
        states: PNG files by the names of networks.
    """
    networks = report["networks"]
    count = f"{len(networks)} network{'s' * (len(networks) != 1)}"
    parts = [
        f"<h1>Were the timescales preserved?</h1><p>{escape(report['task'])}, {count}, "
        f"isotau {escape(report['versions']['isotau'])}, id {escape(report['id'])}</p>",
        _states(report["states"], report["settings"], states),
        f"<h2>What spikes can tell</h2><p>{escape(spikes_in_words(report))} An "
        "experimenter has no more; in a network that is simulated few neurons have a τ "
        "in their spikes, which is why the verdict is not theirs. The published rules "
        "(<code>kim</code>) give 8 to 10 % of neurons that have no timescale one, and "
        "miss neurons below 3 Hz or slower than 0.5 s.</p><details><summary>"
        "spikes in full</summary>",
        _rows(
            ("stages", "verdict", "of", "why"),
            [
                (
                    f"{comparison['a']} → {comparison['b']}",
                    comparison["verdict"],
                    comparison["by_method"][comparison["primary"]]["scope"],
                    comparison["reason"],
                )
                for comparison in report["comparisons"]
            ],
        ),
        _reading(report["settings"]),
        *map(_comparison, report["comparisons"], pictures, details),
        "</details>",
        _networks(networks),
    ]
    # On the page itself: it may be sent without the folder that it came from.
    settings = json.dumps(
        {key: report[key] for key in ("seeds", "settings", "versions")}, indent=1
    )
    parts.append(
        "<h2>Settings</h2><details><summary>everything that decides the numbers"
        f"</summary><pre>{escape(settings)}</pre></details>"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Were the timescales preserved?</title><style>{CSS}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _states(
    report: state_report.Report,
    settings: Mapping[str, Any],
    pictures: Mapping[str, bytes],
) -> str:
    """Return the section of what states tell: in sentences, as a table, and why."""
    margins = settings["state_margins"]
    drawn = "".join(
        _figure(f"{name}: τ of every unit, and autocorrelations", png)
        for name, png in pictures.items()
    )
    said = "".join(f"<p>{escape(x)}</p>" for x in state_report.sentences(report))
    return (
        f"<h2>What states tell</h2>{said}<p>What is compared is "
        f"{WATCHED[settings['observable']]}, {SHOWN[settings['epoch']]}: τ where the "
        "autocovariance falls to 1/e. Trials were added until it was decided or the "
        f"time was spent; intervals of 95 %. Margins: {margins['ratio']:.0%} of the "
        f"network's ratio, {margins['unit']:.0%} of a neuron's, which "
        f"{margins['share']:.0%} of them may exceed. <em>Scatter</em>: SD over neurons "
        "of the log ratio; <em>order</em>: rank correlation of τ; in brackets between "
        "two runs of the first stage, which differ by noise alone.</p>"
        f"{_rows(state_report.HEADINGS, state_report.rows(report))}{drawn}"
    )


def _figure(caption: str, png: bytes) -> str:
    """Return a picture that needs no file, with its caption."""
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,'
        f'{base64.b64encode(png).decode()}"><figcaption>{escape(caption)}'
        "</figcaption></figure>"
    )


def voices(comparison: Mapping[str, Any]) -> list[list[str]]:
    """Return what each estimator says of a comparison: a row of text for each.

    Name, verdict, ratio of τ, scatter, loss, neurons, networks.
    """
    rows = []
    for method, sums in comparison["by_method"].items():
        # Shifts are log ratios.
        # Shifts are log ratios; people read factors.
        ratio = [None if x is None else math.exp(x) for x in sums["shift"]]
        total = sums["n_networks"] + sums["n_left_out"]
        rows.append(
            [
                method,
                sums["verdict"],
                *(
                    state_report.interval(x, ".2f")
                    for x in (ratio, sums["scatter"], sums["loss"])
                ),
                f"{sums['kept']} kept, {sums['lost']} lost, {sums['gained']} gained",
                f"{sums['n_networks']} of {total}",
            ]
        )
    return [*rows, ["curves", comparison["curves"]["verdict"], "", "", "", "", ""]]


def _comparison(
    comparison: Mapping[str, Any], pictures: Mapping[str, bytes], details: str
) -> str:
    """Return the section of one comparison."""
    headings = (
        "estimator", "verdict", "τ ratio", "scatter", "loss", "neurons", "networks",
    )  # fmt: skip
    figures = "".join(_figure(caption, png) for caption, png in pictures.items())
    return (
        f"<h2>{escape(comparison['a'])} → {escape(comparison['b'])}: "
        f"{_cell(comparison['verdict'])}</h2><p>{escape(comparison['reason'])}.</p>"
        f"{_rows(headings, voices(comparison))}"
        f"<p>{escape(comparison['curves']['reason'])}.</p>"
        f'<div class="pictures">{figures}</div><details><summary>all numbers</summary>'
        f"<pre>{escape(details)}</pre></details>"
    )


def _networks(networks: Sequence[Mapping[str, Any]]) -> str:
    """Return accuracy and time constants of every network and stage, as a table."""
    rows = []
    for network in networks:
        for stage, by_method in network["timescales"].items():
            # On the chip τ_syn is what truncation leaves of it.
            kind = "tau_syn_effective_s" if stage == "fixed" else "tau_syn_s"
            cells = [network["name"], stage, f"{network['accuracy'][stage]:.3f}"]
            cells.append(in_ms(network[kind]))
            for sums in by_method.values():
                cells.append(in_ms(sums["tau_quartiles_s"]))
                cells.append(f"{sums['n_timescales']} of {sums['n_neurons']}")
            rows.append(cells)
    # Columns follow the estimators that were asked for.
    headings = ["network", "stage", "accuracy", "τ_syn"]
    for method in next(iter(networks[0]["timescales"].values())):
        headings += [f"τ by {method}", "neurons"]
    state = "open" if len(networks) <= FEW else ""
    return (
        "<h2>Networks</h2><p>Accuracy in the task; medians and quartiles over neurons; "
        "neurons with a timescale. τ_syn is nominal at the first stages; at the fixed "
        "one it is what the chip's truncation leaves of it, at the currents that the "
        f"synapses carried.</p><details {state}><summary>{len(networks)} in all"
        f"</summary>{_rows(headings, rows)}</details>"
    )


def _reading(settings: Mapping[str, Any]) -> str:
    """Return what the words mean, and the margins."""
    # Margins are kept as logs; the page gives the factors that they stand for.
    margins = settings["margins"]
    shift, scatter = (math.exp(margins[f"{x}_margin"]) for x in ("shift", "scatter"))
    words = "".join(
        f"<dt>{_cell(word)}</dt><dd>{escape(meaning)}</dd>"
        for word, meaning in MEANING.items()
    )
    return (
        "<h2>How to read this</h2>"
        f"<p>Every stage ran twice, {settings['trials']} trials of "
        f"{settings['length']:g} s without input each; what differs between a run and "
        "its repeat is the noise floor. <em>τ ratio</em>: mean over neurons of the "
        f"second stage's τ over the first's; margin {1 / shift:.2f} to {shift:.2f}. "
        "<em>Scatter</em>: SD over neurons of the true log ratio, the floor taken off; "
        f"margin {math.log(scatter):.3f}, a factor of {scatter:.2f}. <em>Loss</em>: "
        "share of neurons that lose their timescale beyond a repeat's; margin "
        f"{margins['loss_margin']:.2f}. In brackets: "
        f"{1 - 2 * margins['alpha']:.0%} intervals, which decide.</p><dl>{words}</dl>"
        "<p>Preserved needs two voices: the first estimator and another one, with none "
        "against. If it is not identifiable, give more trials, longer ones, or more "
        "networks.</p>"
    )


def _cell(text: str) -> str:
    """Return text as HTML, a verdict on its colour.

    Text comes from files and their names: it is escaped wherever it enters the page.
    """
    # Everything is escaped here: names of files are anybody's text.
    if text not in COLOURS:
        return escape(text)
    colour = COLOURS[text]
    return f'<span class="verdict" style="background:{colour}">{escape(text)}</span>'


def _rows(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of text."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'
