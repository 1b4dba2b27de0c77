"""docs/results/conversion.md and conversion.json, from the figures of every network."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from benchmarks.conversion.studies import STUDIES
from isotau.convert.ground.files import write_text

TITLES = {
    "go-nogo": "Go-NoGo, N = 200, τ 20–50 ms, sigmoid, Dale",
    "mante": "Mante, N = 250, τ 20–50 ms, sigmoid, Dale",
    "dms-750": "DMS with a delay of 750 ms, N = 200, τ 20–125 ms, sigmoid, Dale",
    "relu": "Go-NoGo, N = 200, relu, Dale",
    "softplus": "Go-NoGo, N = 200, softplus, Dale",
    "lif": "Go-NoGo, N = 200, trained with the LIF neuron's own f–I curve, Dale",
    "rdm": "Random dots, rank 1, N = 512, tanh",
    "mante-lowrank": "Mante (low-rank family), rank 1, N = 512, tanh",
    "romo": "Romo, rank 2, N = 512, tanh",
    "dms-lowrank": "DMS with 0.5–3 s of delay, rank 2, N = 512, tanh",
    "dms-full-rank": "DMS with 0.5–3 s of delay, full rank, N = 512, tanh",
}
PUBLISHED = {
    "go-nogo": "93 % of nets, mean accuracy 0.982–0.988",
    "mante": "89 % of nets",
    "dms-750": "no rate given",
    "relu": "0 % of nets",
    "softplus": "55 % of nets",
}


def write_page(
    folder: Path,
    results: dict[str, Any],
    search: dict[str, Any] | None,
    provenance: dict[str, Any],
) -> None:
    """Write the page and its figures."""
    tables = {name: summarize(name, found) for name, found in results.items()}
    content = {
        "provenance": provenance,
        "summary": tables,
        "search": search,
        "networks": results,
        "trials": {
            name: {"fit": study.fit, "test": study.test, "seed": study.train.seed}
            for name, study in STUDIES.items()
        },
    }
    text = json.dumps(content, indent=1, allow_nan=False)
    write_text(folder / "conversion.json", text + "\n")
    lines = ["# Conversion: figures", "", *_head(provenance)]
    lines += _success(tables) + _accuracies(tables) + _kappas(tables)
    lines += _scaled(tables) + _training(tables) + _searches(search)
    write_text(folder / "conversion.md", "\n".join(lines) + "\n")


def summarize(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return a study's figures over its networks."""
    nets = found["networks"]
    learned = [net for net in nets if net["rate"]["accuracy"] >= 0.95]
    summary: dict[str, Any] = {
        "title": TITLES[name],
        "needed": STUDIES[name].needed,
        "tried": len(nets),
        "learned": len(learned),
        "training": found["training"],
        "rate": _stage(learned, lambda net: net["rate"]),
    }
    for method in ("calibrate", "scale"):
        some = [net for net in learned if method in net]
        if some:
            summary[method] = _method(name, some, method)
    agreed = [net["kappa"] for net in learned if "kappa" in net]
    if agreed:
        summary["kappa"] = {
            figure: [min(row), float(np.median(row)), max(row)]
            for figure in ("nrmse", "correlation")
            for row in [[value for kappa in agreed for value in kappa[figure]]]
        }
    return summary


def _method(name: str, nets: list[dict[str, Any]], method: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "networks": len(nets),
        "median_seconds": float(np.median([net[method]["seconds"] for net in nets])),
        "median_unit_mv": float(np.median([net[method]["unit_mv"] for net in nets])),
    }
    for stage in ("lif", "fixed"):
        figures = _stage(nets, lambda net, stage=stage: net[method][stage])
        right = sum(_is_right(name, net, method, stage) for net in nets)
        interval = binomtest(right, len(nets)).proportion_ci(method="wilson")
        found[stage] = figures | {
            "right": right,
            "share": right / len(nets),
            "interval": [float(interval.low), float(interval.high)],
            "median_hz": float(np.median([n[method][stage]["rate_hz"] for n in nets])),
        }
    return found


def _is_right(name: str, net: dict[str, Any], method: str, stage: str) -> bool:
    needed = STUDIES[name].needed
    least = net["rate"]["accuracy"] - 0.03 if needed is None else needed
    return bool(net[method][stage]["accuracy"] >= least)


def _stage(
    nets: list[dict[str, Any]], pick: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Return mean, least and greatest of each figure of a stage."""
    figures = ("accuracy", "strict", "amplitude", "rms_to_rate")
    values = {name: [pick(net)[name] for net in nets] for name in figures}
    return {
        name: {"mean": float(np.mean(row)), "least": min(row), "greatest": max(row)}
        for name, row in values.items()
        if row
    }


def _head(provenance: dict[str, Any]) -> list[str]:
    return [
        "Every figure stands in `conversion.json` too. Made by",
        f"`{provenance['command']}`"
        f"{', in parts (`--only`),' if provenance['in_parts'] else ''} "
        f"at commit {provenance['commit']}"
        f"{', with changes' if provenance['uncommitted'] else ''}, on "
        f"{provenance['machine']}, Python {provenance['versions']['python']}, torch "
        f"{provenance['versions']['torch']}, numpy {provenance['versions']['numpy']}.",
        "",
        "Membrane noise is on everywhere (SD 1 mV; `scale` on tanh networks fits it).",
        "Fit and choice were made on other trials than those scored, and all stages",
        "see the same test trials. A network counts where its rate accuracy is at",
        "least 0.95. Intervals are Wilson's, 95 %. Nothing was trained by gradient in",
        "the conversion. Seeds: 2026 for training, the network's number for the rest.",
        "",
    ]


def _success(tables: dict[str, Any]) -> list[str]:
    lines = [
        "## Networks that keep an accuracy of 0.95 (`calibrate`)",
        "",
        "| networks | tried | rate ≥ 0.95 | LIF ≥ 0.95 | fixed ≥ 0.95 | published |",
        "|---|---|---|---|---|---|",
    ]
    for name, table in tables.items():
        if "calibrate" not in table:
            continue
        cells = [_share(table["calibrate"][stage]) for stage in ("lif", "fixed")]
        lines.append(
            f"| {table['title']} | {table['tried']} | {table['learned']} | "
            f"{' | '.join(cells)} | {PUBLISHED.get(name, 'never done')} |"
        )
    return [*lines, ""]


def _share(figures: dict[str, Any]) -> str:
    low, high = figures["interval"]
    return f"{100 * figures['share']:.0f} % ({100 * low:.0f}–{100 * high:.0f})"


def _accuracies(tables: dict[str, Any]) -> list[str]:
    lines = [
        "## Accuracies and outputs (`calibrate`)",
        "",
        "Mean over networks (least): published rule, then the strict one. Amplitude:",
        "the largest |output| over the target's, where an answer is asked for. rms:",
        "from the rate network's output, on the steps that count; noise differs.",
        "",
        "| networks | stage | accuracy | strict | amplitude | rms | Hz |",
        "|---|---|---|---|---|---|---|",
    ]
    for table in tables.values():
        if "calibrate" not in table:
            continue
        stages = {"rate": table["rate"]} | {
            stage: table["calibrate"][stage] for stage in ("lif", "fixed")
        }
        for stage, figures in stages.items():
            title = table["title"] if stage == "rate" else ""
            hz = f"{figures['median_hz']:.1f}" if "median_hz" in figures else ""
            lines.append(
                f"| {title} | {stage} | {_mean(figures['accuracy'])} | "
                f"{_mean(figures['strict'])} | "
                f"{figures['amplitude']['mean']:.2f} "
                f"({figures['amplitude']['least']:.2f}–"
                f"{figures['amplitude']['greatest']:.2f}) | "
                f"{figures['rms_to_rate']['mean']:.3f} | {hz} |"
            )
    return [*lines, ""]


def _mean(figures: dict[str, float]) -> str:
    return f"{figures['mean']:.3f} ({figures['least']:.3f})"


def _kappas(tables: dict[str, Any]) -> list[str]:
    lines = [
        "## Latent trajectories κ of rate and LIF network",
        "",
        "Over networks and modes: least, median, greatest. The error is in units of",
        "the standard deviation of the rate network's κ; both have noise of their own.",
        "",
        "| networks | correlation | error |",
        "|---|---|---|",
    ]
    rows = [
        f"| {table['title']} | {_three(table['kappa']['correlation'])} | "
        f"{_three(table['kappa']['nrmse'])} |"
        for table in tables.values()
        if "kappa" in table
    ]
    return [*lines, *rows, ""] if rows else []


def _three(values: list[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def _scaled(tables: dict[str, Any]) -> list[str]:
    lines = [
        "## One λ for the whole network (`scale`)",
        "",
        "Analytic start, continuous search, output gain fitted.",
        "",
        "| networks | converted | LIF ≥ 0.95 | fixed ≥ 0.95 | LIF mean (least) | s |",
        "|---|---|---|---|---|---|",
    ]
    for table in tables.values():
        if "scale" not in table:
            continue
        found = table["scale"]
        lines.append(
            f"| {table['title']} | {found['networks']} | {_share(found['lif'])} | "
            f"{_share(found['fixed'])} | {_mean(found['lif']['accuracy'])} | "
            f"{found['median_seconds']:.0f} |"
        )
    return [*lines, ""]


def _training(tables: dict[str, Any]) -> list[str]:
    lines = [
        "## Training and conversion times",
        "",
        "| networks | trained at once | converged | s in all | updates (median) | "
        "s to convert (median) |",
        "|---|---|---|---|---|---|",
    ]
    for table in tables.values():
        took = table["training"]
        seconds = table.get("calibrate", {}).get("median_seconds", float("nan"))
        lines.append(
            f"| {table['title']} | {took['networks']} | {took['converged']} | "
            f"{took['seconds']:.0f} | {took['median_updates']:.0f} | {seconds:.0f} |"
        )
    return [*lines, ""]


def _searches(search: dict[str, Any] | None) -> list[str]:
    if search is None:
        return []
    return [
        "## The search for λ",
        "",
        "| | s |",
        "|---|---|",
        f"| 12 values × 100 trials, N = 200 | {search['grid_seconds']:.1f} |",
        "| analytic start and continuous search, 100 trials | "
        f"{search['continuous_search_seconds']:.1f} |",
        "| one trial in steps of 0.05 ms, as the original code computes it | "
        f"{search['one_original_trial_seconds']:.2f} |",
        "| 1200 of them | " + f"{search['original_grid_seconds']:.0f} |",
        "",
    ]
