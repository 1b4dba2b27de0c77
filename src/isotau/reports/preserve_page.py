"""What is read of `isotau preserve`: a table, sentences, and a page.

The page is HTML that needs no other file and runs no script.
"""

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from isotau.jobs.measure_recorded import in_ms
from isotau.sim.preservation import Verdict

COLOURS = {
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
figure{margin:0;flex:1 1 20rem;max-width:34rem}img{max-width:100%}
figcaption{font-size:.85rem;color:#444}
.wide{overflow-x:auto}pre{white-space:pre-wrap;background:#f6f6f6;padding:1rem}
"""


def sentences(report: Mapping[str, Any]) -> list[str]:
    """Return what decided each comparison."""
    return [
        f"{found['a']} → {found['b']}: {found['verdict'].upper()}: {found['reason']}."
        for found in report["comparisons"]
    ]


def table(report: Mapping[str, Any]) -> Table:
    """Return a row for each comparison and estimator, and one for each conclusion."""
    rows = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    rows.add_column("stages", no_wrap=True)
    rows.add_column("verdict", no_wrap=True)
    for heading in ("τ ratio", "scatter", "loss"):
        rows.add_column(heading, justify="right", no_wrap=True)
    for found in report["comparisons"]:
        rows.add_row(f"{found['a']} → {found['b']}", found["verdict"].upper())
        for name, verdict, *cells in voices(found):
            three = (c.replace(" (", "\n(").replace(" to ", ", ") for c in cells[:3])
            rows.add_row(f"  {name}", verdict, *three)
        rows.add_section()
    return rows


def page(
    report: Mapping[str, Any],
    pictures: Sequence[Mapping[str, bytes]],
    details: Sequence[str],
) -> str:
    """Return a report as one page.

    Args:
        report: from `preserve_report.numbers`.
        pictures: PNG files by their captions, of each comparison.
        details: all numbers as text, of each comparison.
    """
    networks = report["networks"]
    count = f"{len(networks)} network{'s' * (len(networks) != 1)}"
    parts = [
        f"<h1>Were the timescales preserved?</h1><p>{escape(report['task'])}, {count}, "
        f"isotau {escape(report['versions']['isotau'])}</p>",
        _rows(
            ("stages", "verdict", "of", "why"),
            [
                (
                    f"{said['a']} → {said['b']}",
                    said["verdict"],
                    said["by_method"][said["primary"]]["scope"],
                    said["reason"],
                )
                for said in report["comparisons"]
            ],
        ),
        _reading(report["settings"]),
        *map(_comparison, report["comparisons"], pictures, details),
        _networks(networks),
    ]
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


def voices(found: Mapping[str, Any]) -> list[list[str]]:
    """Return what each estimator says of a comparison: a row of text for each.

    Name, verdict, ratio of τ, scatter, loss, neurons, networks.
    """
    rows = []
    for method, said in found["by_method"].items():
        ratio = [None if x is None else math.exp(x) for x in said["shift"]]
        asked = said["n_networks"] + said["n_left_out"]
        rows.append(
            [
                method,
                said["verdict"],
                *(_interval(x) for x in (ratio, said["scatter"], said["loss"])),
                f"{said['kept']} kept, {said['lost']} lost, {said['gained']} gained",
                f"{said['n_networks']} of {asked}",
            ]
        )
    return [*rows, ["curves", found["curves"]["verdict"], "", "", "", "", ""]]


def _comparison(
    said: Mapping[str, Any], pictures: Mapping[str, bytes], details: str
) -> str:
    headings = (
        "estimator", "verdict", "τ ratio", "scatter", "loss", "neurons", "networks",
    )  # fmt: skip
    shown = "".join(
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,'
        f'{base64.b64encode(png).decode()}"><figcaption>{escape(caption)}'
        "</figcaption></figure>"
        for caption, png in pictures.items()
    )
    return (
        f"<h2>{escape(said['a'])} → {escape(said['b'])}: {_cell(said['verdict'])}</h2>"
        f"<p>{escape(said['reason'])}.</p>{_rows(headings, voices(said))}"
        f"<p>{escape(said['curves']['reason'])}.</p>"
        f'<div class="pictures">{shown}</div><details><summary>all numbers</summary>'
        f"<pre>{escape(details)}</pre></details>"
    )


def _networks(networks: Sequence[Mapping[str, Any]]) -> str:
    """Return accuracy and time constants of every network and stage, as a table."""
    rows = []
    for said in networks:
        for stage, found in said["timescales"].items():
            kind = "tau_syn_effective_s" if stage == "fixed" else "tau_syn_s"
            cells = [said["name"], stage, f"{said['accuracy'][stage]:.3f}"]
            cells.append(in_ms(said[kind]))
            for one in found.values():
                cells.append(in_ms(one["tau_quartiles_s"]))
                cells.append(f"{one['n_timescales']} of {one['n_neurons']}")
            rows.append(cells)
    headings = ["network", "stage", "accuracy", "τ_syn"]
    for method in next(iter(networks[0]["timescales"].values())):
        headings += [f"τ by {method}", "neurons"]
    shown = "open" if len(networks) <= FEW else ""
    return (
        "<h2>Networks</h2><p>Accuracy in the task; medians and quartiles over neurons; "
        "neurons with a timescale. τ_syn is nominal at the first stages; at the fixed "
        "one it is what the chip's truncation leaves of it, at the currents that the "
        f"synapses carried.</p><details {shown}><summary>{len(networks)} in all"
        f"</summary>{_rows(headings, rows)}</details>"
    )


def _reading(settings: Mapping[str, Any]) -> str:
    """Return what the words mean, and the margins."""
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
    """Return text as HTML, a verdict on its colour."""
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


def _interval(found: Sequence[float | None]) -> str:
    if found[0] is None:
        return "none"
    value = f"{found[0]:.2f}"
    if found[1] is None or found[2] is None:
        return f"{value} (no interval)"
    return f"{value} ({found[1]:.2f} to {found[2]:.2f})"
