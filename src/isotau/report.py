"""What the main job leaves: artefacts, pictures, a JSON file, and one table."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from isotau.convert import storage, unit_diagnostics
from isotau.pictures import draw
from isotau.pipeline import Result
from isotau.report_numbers import summarize_run
from isotau.sim.timescales import record

BY_CHANCE = 0.6
"""Accuracy of the rate network below which it is likely to be doing another task."""


def write(result: Result, out: Path, source: Mapping[str, Any]) -> Path:
    """Write every artefact of a result into a folder; return the path of its numbers.

    Those are `report.json`, or `conversion.json` if Lava did not run; spikes and
    timescales are kept only of whole runs.

    Args:
        result: of `run_pipeline` or `carry`.
        out: the folder; made if need be, files of the same names are replaced.
        source: what is to be said of the input, from `pipeline.describe_input`.
    """
    storage.save(result.rate, out / "network.rate.npz")
    storage.save(result.conversion.network, out / "network.lif.npz")
    storage.save(result.fixed, out / "network.fixed.npz")
    unit_diagnostics.write_csv(result.units, out / "units.csv")
    name = "conversion.json"
    if result.lava is not None:
        name = "report.json"
        storage.save(result.plan.test, out / "trials.npz")
        for stage_name, stage in result.stages.items():
            storage.save(stage.spikes, out / f"{stage_name}.spikes.npz")
            if stage.quiet is not None:
                quiet = stage.quiet
                storage.save(quiet.spikes, out / f"{stage_name}.spontaneous.npz")
                record.write_csv(quiet.timescales, out / f"{stage_name}.timescales.csv")
    draw(result, out)
    text = json.dumps(summarize_run(result) | dict(source), indent=2, allow_nan=False)
    return storage.write_text(out / name, text + "\n")


def read(path: Path) -> dict[str, Any]:
    """Return a report that `write` wrote."""
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def table(report: dict[str, Any]) -> Table:
    """Return the one table of a run: a row per stage.

    "strict" is the accuracy by the task's stricter rule. Without timescales there are
    the mean of the largest output on trials that ask for one, and the rms difference to
    the rate network's output (for that network: to a second run of it). "chance" counts
    the Poisson neurons of the same rates that would have a timescale.
    """
    stages = report["stages"]
    trials = f"{stages['rate']['n_trials']} trials"
    if "lava" in stages:
        trials += f" ({stages['lava']['n_trials']} in Lava)"
    title = f"{report['input']}, {report['task']}, seed {report['seed']}, {trials}"
    rows = Table(title=title)
    rows.add_column("stage")
    quiet = "n_timescales" in stages["rate"]
    for heading in ("accuracy", "strict", "mean rate"):
        rows.add_column(heading, justify="right")
    for heading in (
        ("with a τ", "chance", "median τ") if quiet else ("answer", "off by")
    ):
        rows.add_column(heading, justify="right")
    for name, stage in stages.items():
        last = _timescales(stage) if quiet else _answers(stage)
        rows.add_row(
            name,
            f"{stage['accuracy']:.3f} ± {stage['accuracy_se']:.3f}",
            f"{stage['accuracy_strict']:.3f}",
            f"{stage['mean_rate_hz']:.2f} Hz",
            *last,
        )
    return rows


def verdict(report: dict[str, Any]) -> str:
    """Return in a few sentences what a report says."""
    stages = report["stages"]
    said = [_on_task(report), _on_conversion(report)]
    amplitudes = {name: stages[name]["output_amplitude"] for name in stages}
    if amplitudes["rate"] is not None:
        each = ", ".join(
            f"{amplitudes[name]:.2f} ({name})" for name in ("rate", "lif", "fixed")
        )
        said.append(f"Answers reach {each} for {report['target_amplitude']:.2f}.")
    causes = report["units"]["causes"]
    counts = ", ".join(f"{count} {cause}" for cause, count in causes.items())
    said.append(f"Units: {counts}.")
    if report["kappa"] is not None:
        near = report["kappa"]["fixed"]["correlation"]
        each = ", ".join("none" if r is None else f"{r:.3f}" for r in near)
        said.append(f"κ on the chip correlates with the rate network's by {each}.")
    if "lava_identical" in report:
        said += [_on_lava(report), _on_timescales(stages["fixed"])]
    return " ".join(sentence for sentence in said if sentence)


def warnings(report: dict[str, Any]) -> list[str]:
    """Return a line for each finding about the chip that is an error."""
    return [
        f"Warning: {found['text']}"
        for found in report["diagnostics"]["findings"]
        if found["severity"] == "error"
    ]


def _timescales(stage: dict[str, Any]) -> tuple[str, str, str]:
    tau = stage["median_tau_ms"]
    return (
        f"{stage['n_timescales']} of {stage['n_neurons']}",
        str(stage["n_timescales_by_chance"]),
        "none" if tau is None else f"{tau:.0f} ms",
    )


def _answers(stage: dict[str, Any]) -> tuple[str, str]:
    height = stage["output_amplitude"]
    return (
        "none" if height is None else f"{height:.2f}",
        f"{stage['output_rms_to_rate']:.3f}",
    )


def _on_task(report: dict[str, Any]) -> str:
    """Return a warning if the rate network itself does badly."""
    accuracy = report["stages"]["rate"]["accuracy"]
    if accuracy >= BY_CHANCE:
        return ""
    return (
        f"THE RATE NETWORK ITSELF is right in {accuracy:.0%} of the trials of "
        f"{report['task']}: probably it was trained on another task, on inputs of "
        "another amplitude, or was read by wrong conventions, and what follows says "
        "little."
    )


def _on_conversion(report: dict[str, Any]) -> str:
    conversion, stages = report["conversion"], report["stages"]
    chosen = conversion["chosen"]
    how = f"At 1/λ = {chosen['inverse_lambda']:.3g} Hz"
    if conversion["method"] == "calibrate":
        rounds = chosen["rounds"]
        how = f"Calibrated with {rounds} closed-loop round{'s' * (rounds != 1)},"
    accuracies = " → ".join(
        f"{stages[name]['accuracy']:.3f} ({name})" for name in ("rate", "lif", "fixed")
    )
    return f"{how} accuracy goes {accuracies}."


def _on_lava(report: dict[str, Any]) -> str:
    if report["lava_identical"]:
        return (
            f"Lava gave the engine's spikes in all {report['lava_compared']:,} "
            "neuron-steps."
        )
    return (
        f"LAVA DIFFERS from the engine in {report['lava_mismatches']:,} of "
        f"{report['lava_compared']:,} neuron-steps."
    )


def _on_timescales(fixed: dict[str, Any]) -> str:
    found, chance = fixed["n_timescales"], fixed["n_timescales_by_chance"]
    said = (
        f"{found} of {fixed['n_neurons']} fixed-point neurons have a timescale that "
        f"the trials without input tell from none ({chance} of as many Poisson neurons "
        f"would; the published rules keep {fixed['n_timescales_published']}). "
    )
    return said + "Whether timescales were preserved: isotau preserve."
