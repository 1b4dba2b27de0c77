"""What the main job leaves: artefacts, pictures, a JSON file, and one table.

`report.json` and `conversion.json` hold all numbers (`summarize_run`); the table and
the sentences are written from them, so that they say what the file says.
"""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from isotau.convert.ground import files
from isotau.convert.ground.stage_clock import StageClock
from isotau.convert.records import storage
from isotau.convert.records.spikes import mean_rate
from isotau.convert.to_fixed.quantization_report import summarize
from isotau.convert.to_lif import unit_diagnostics
from isotau.convert.to_lif.conversion import answer_amplitude, summarize_noise
from isotau.convert.to_lif.unit_diagnostics import NUMBERS, Cause, UnitDiagnostics
from isotau.jobs.compare_stages import KappaReading, output_difference
from isotau.jobs.origin import versions
from isotau.jobs.pipeline import Result
from isotau.jobs.stages import QuietRun, StageRun
from isotau.reports.draw_run import draw
from isotau.sim.engines import diagnostics, state_at_rest
from isotau.sim.tasks.accuracy import accuracy_reach
from isotau.sim.timescales.records import record
from isotau.sim.timescales.records.record import summary

FROM_REST = (
    "before every trial all neurons are at reset with no current (rate units: x drawn "
    "from N(x0, x0_std^2)) and pass the burn-in; held inputs, such as a context, are on"
)
FROM_X0 = (
    "every trial starts in the state that stands for the rate network's x0 (rate "
    "units: x drawn from N(x0, x0_std^2)), without burn-in"
)
WORST = 5
"""Units that are told of one by one."""
BY_CHANCE = 0.6
"""Accuracy of the rate network below which it is likely to be doing another task."""


def summarize_run(result: Result) -> dict[str, Any]:
    """Return the numbers of a result, but for those of its input file."""
    config, conversion = result.config, result.conversion
    test = result.plan.test
    # Of the conversion, not of the request: calibration chooses volts per unit of x.
    constants = asdict(conversion.constants)
    numbers: dict[str, Any] = {
        "task": config.task,
        "seed": config.seed,
        "protocol": {
            "initial_state": FROM_REST if constants["burn_in"] else FROM_X0,
            "burn_in_s": constants["burn_in"],
            "membrane_noise": constants["noise_std"] > 0,
            # All of them: a LIF network is not reproduced by its weights alone.
            "lif_constants_si": constants,
            "scored_trials": config.trials,
            "search_trials": config.search_trials,
        },
        "network": {
            "n": result.rate.n,
            "n_excitatory": int((result.rate.dale > 0).sum()),
            "n_inhibitory": int((result.rate.dale < 0).sum()),
            "rank": result.rate.rank or None,
            "activation": result.rate.activation,
            "median_tau_ms": 1e3 * float(np.median(result.rate.tau)),
        },
        "conversion": {
            "method": conversion.method,
            "copies": conversion.chosen.copies,
            "n_neurons": conversion.network.n,
            "chosen": asdict(conversion.chosen),
            "candidates": [asdict(candidate) for candidate in conversion.candidates],
            "residual": list(conversion.residual),
            "state_floor": conversion.state_floor,
            "why": conversion.why,
            "noise": summarize_noise(conversion),
        },
        "quantization": summarize(result.quantization)
        | {"state_at_rest": state_at_rest.summarize(result.at_rest)},
        "diagnostics": diagnostics.summarize(result.chip.diagnostics),
        "engine": config.engine,
        "target_amplitude": answer_amplitude(test.targets, test),
        "stages": {name: _stage(name, result) for name in result.stages},
        "units": _units(result.units),
        "kappa": None if result.kappa is None else kappa_numbers(result.kappa),
        "versions": versions(),
    }
    if result.lava is not None:
        numbers["protocol"]["timescale_trials"] = config.timescale_trials
        numbers["lava_identical"] = result.lava.mismatches == 0
        numbers["lava_mismatches"] = result.lava.mismatches
        numbers["lava_compared"] = result.lava.compared
    return numbers


def _stage(name: str, result: Result) -> dict[str, Any]:
    """Return one stage's numbers; keys with a unit in their name carry that unit."""
    stage: StageRun = result.stages[name]
    rate = result.stages["rate"]
    # By the published rule, which decides; the stricter one stands beside it.
    accuracy = float(stage.right.mean())
    numbers = {
        "n_trials": stage.trials.batch,
        "n_neurons": stage.spikes.n,
        "accuracy": accuracy,
        "accuracy_se": float(np.sqrt(accuracy * (1 - accuracy) / stage.trials.batch)),
        "accuracy_reach": accuracy_reach(stage.right),
        "accuracy_strict": float(stage.right_strictly.mean()),
        "output_amplitude": answer_amplitude(stage.outputs, stage.trials),
        # What a spiking stage cannot be expected to fall below: another run's noise.
        # Of the rate stage the distance to its own repeat: the floor of the others.
        "output_rms_to_rate": result.repeated
        if stage is rate
        else output_difference(stage, rate),
        "mean_rate_hz": mean_rate(stage.spikes),
    }
    return numbers if stage.quiet is None else numbers | _quiet(stage.quiet)


def _quiet(quiet: QuietRun) -> dict[str, Any]:
    """Return the numbers of a stage without input."""
    # The same summary as `isotau timescales` prints, so that they compare.
    measured = summary(quiet.timescales)
    tau = measured["median_tau_s"]
    return {
        "spontaneous_rate_hz": mean_rate(quiet.spikes),
        "n_timescales": measured["n_timescales"],
        # Poisson neurons of the same rates have none: what is left over is evidence.
        "n_timescales_by_chance": summary(quiet.chance)["n_timescales"],
        "n_timescales_published": summary(quiet.published)["n_timescales"],
        "timescale_method": measured["method"],
        "median_tau_ms": None if tau is None else 1e3 * tau,
        "timescale_status": measured["status"],
    }


def _units(units: UnitDiagnostics) -> dict[str, Any]:
    """Return how many units have which cause, and the worst in full."""
    # Stable, so that equal errors keep the order of the units.
    worst = np.argsort(-units.rms, kind="stable")[:WORST]
    return {
        "causes": {c.value: units.cause.count(c) for c in Cause if c in units.cause},
        "median_rms": float(np.median(units.rms)),
        "tolerance": units.tolerance,
        "bin_width_s": units.width,
        "worst": [
            {"unit": int(k), "cause": units.cause[k].value}
            | {name: _finite(getattr(units, name)[k]) for name in NUMBERS}
            for k in worst
        ],
    }


def kappa_numbers(reading: KappaReading) -> dict[str, Any]:
    """Return how near κ of each stage is to the rate network's, mode by mode."""
    numbers: dict[str, Any] = {"n_trials": reading.trials.batch}
    for name, agreement in reading.agreement.items():
        by_mode = {
            key: getattr(agreement, key) for key in ("correlation", "rmse", "nrmse")
        }
        # Over conditions, whose mean trajectories have less noise than trials.
        by_mode["nrmse_of_means"] = np.sqrt((agreement.condition_nrmse**2).mean(axis=0))
        numbers[name] = {
            key: [_finite(value) for value in values] for key, values in by_mode.items()
        }
    return numbers


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def write(
    result: Result,
    out: Path,
    source: Mapping[str, Any],
    *,
    clock: StageClock | None = None,
) -> Path:
    """Write every artefact of a result into a folder; return the path of its numbers.

    Those are `report.json`, or `conversion.json` if Lava did not run; spikes and
    timescales are kept only of whole runs. `timing.json` says what the stages cost.

    Args:
        result: of `run_pipeline` or `carry`.
        out: the folder; made if need be, files of the same names are replaced.
        source: numbers of the input file, from `origin.describe_input`.
        clock: that was told of the stages; None to write no timing.
    """
    told = clock or StageClock()
    with told("files"):
        path = _write_numbers(result, out, source)
    # Last: whoever interrupts them has the numbers.
    with told("pictures"):
        draw(result, out)
    if clock is not None:
        costs = [cost._asdict() for cost in clock.costs]
        files.write_text(out / "timing.json", json.dumps(costs, indent=1) + "\n")
    return path


def _write_numbers(result: Result, out: Path, source: Mapping[str, Any]) -> Path:
    """Write all but the pictures."""
    records: dict[str, Any] = {
        "network.rate.npz": result.rate,
        "network.lif.npz": result.conversion.network,
        "network.fixed.npz": result.fixed,
    }
    unit_diagnostics.write_csv(result.units, out / "units.csv")
    name = "conversion.json"
    if result.lava is not None:
        # Lava runs in whole runs alone, which are those that measure timescales.
        name = "report.json"
        records["trials.npz"] = result.plan.test
        for stage_name, stage in result.stages.items():
            records[f"{stage_name}.spikes.npz"] = stage.spikes
            if stage.quiet is not None:
                quiet = stage.quiet
                records[f"{stage_name}.spontaneous.npz"] = quiet.spikes
                record.write_csv(quiet.timescales, out / f"{stage_name}.timescales.csv")
    # Compression takes most of the time, and releases the lock of the interpreter.
    with ThreadPoolExecutor() as pool:
        list(pool.map(storage.save, records.values(), map(out.joinpath, records)))
    text = json.dumps(summarize_run(result) | dict(source), indent=2, allow_nan=False)
    return files.write_text(out / name, text + "\n")


def read(path: Path) -> dict[str, Any]:
    """Return a report that `write` wrote."""
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def table(report: dict[str, Any]) -> Table:
    """Return the one table of a run: a row per stage.

    ± is half the width of the accuracy's 95 % interval (`accuracy_reach`).
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
    # More columns do not fit 80 letters: timescales or answers, not both.
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
            f"{stage['accuracy']:.3f} ± {stage['accuracy_reach']:.3f}",
            f"{stage['accuracy_strict']:.3f}",
            f"{stage['mean_rate_hz']:.2f} Hz",
            *last,
        )
    return rows


def verdict(report: dict[str, Any]) -> str:
    """Return in a few sentences what a report says."""
    stages = report["stages"]
    sentences = [_on_task(report), _on_conversion(report)]
    sentences.append(report["quantization"]["said"])
    amplitudes = {name: stages[name]["output_amplitude"] for name in stages}
    # Trials that ask for nothing have no answer to reach.
    if amplitudes["rate"] is not None:
        heights = ", ".join(
            f"{amplitudes[name]:.2f} ({name})" for name in ("rate", "lif", "fixed")
        )
        sentences.append(
            f"Answers reach {heights} for {report['target_amplitude']:.2f}."
        )
    sentences.append(state_at_rest.describe(report["quantization"]["state_at_rest"]))
    causes = report["units"]["causes"].items()
    counts = ", ".join(f"{count} {cause}" for cause, count in causes)
    sentences.append(f"Units: {counts}.")
    if report["kappa"] is not None:
        near = report["kappa"]["fixed"]["correlation"]
        values = ", ".join("none" if r is None else f"{r:.3f}" for r in near)
        sentence = f"κ on the chip correlates with the rate network's by {values}."
        sentences.append(sentence)
    if "lava_identical" in report:
        sentences += [_on_lava(report), _on_timescales(stages["fixed"])]
    return " ".join(filter(None, sentences))


def warnings(report: dict[str, Any]) -> list[str]:
    """Return a line for each finding about the chip that is an error."""
    return [
        f"Warning: {finding['text']}"
        for finding in report["diagnostics"]["findings"]
        if finding["severity"] == "error"
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
    # A network of another task passes every later stage with the same small accuracy,
    # and the conversion would look perfect.
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
    candidate = conversion["chosen"]
    how = f"At 1/λ = {candidate['inverse_lambda']:.3g} Hz"
    if conversion["method"] == "calibrate":
        rounds = candidate["rounds"]
        how = f"Calibrated with {rounds} closed-loop round{'s' * (rounds != 1)},"
        how = f"{conversion['noise']['said']} {conversion['why']} {how}"
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
    return (
        f"{fixed['n_timescales']} of {fixed['n_neurons']} fixed-point neurons have a "
        "timescale that the trials without input tell from none "
        f"({fixed['n_timescales_by_chance']} of as many Poisson neurons would; the "
        f"published rules keep {fixed['n_timescales_published']}). Whether timescales "
        "were preserved: isotau preserve."
    )
