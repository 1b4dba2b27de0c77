"""What `isotau tune` leaves: the networks, a picture, a JSON file, and one table."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

import isotau
from isotau.convert.ground import files
from isotau.convert.ground.settings import describe_settings, six_digits
from isotau.convert.records import storage
from isotau.convert.tuning.evaluate import TuneEvaluation
from isotau.jobs.origin import versions
from isotau.jobs.tune_network import StageScore, Tuning
from isotau.sim.plot import plot_tuning
from isotau.sim.tasks.accuracy import compare_accuracies

NUMBERS = "tuning.json"


def write(tuning: Tuning, out: Path, source: Mapping[str, Any]) -> Path:
    """Write what a tuning left into a folder; return the path of its numbers.

    `tuned.lif.npz`, `tuned.fixed.npz`, `curves.png` and `tuning.json`.

    Args:
        tuning: to write.
        out: the folder; made if need be, files of the same names are replaced.
        source: numbers of the input and the arguments, for the JSON file.
    """
    tuned = tuning.tuned
    # Networks before pictures: they took the minutes.
    storage.save(tuned.network, out / "tuned.lif.npz")
    storage.save(tuning.fixed, out / "tuned.fixed.npz")
    plot_tuning.curves(
        out / "curves.png", tuned.losses, tuned.evaluations, best=tuned.best.update
    )
    numbers = dict(source) | summarize(tuning)
    text = json.dumps(numbers, indent=1, allow_nan=False, ensure_ascii=False)
    return files.write_text(out / NUMBERS, text + "\n")


def summarize(tuning: Tuning) -> dict[str, Any]:
    """Return the numbers of a tuning, but for those of its input."""
    tuned, plan = tuning.tuned, tuning.plan
    rate = tuning.before.get("rate")
    return {
        "isotau": isotau.__version__,
        "versions": versions(),
        "status": tuned.status,
        # What stopped a tuning early; the best network before it is what was saved.
        "problem": tuned.problem,
        "updates": len(tuned.losses),
        "best": _evaluation(tuned.best),
        "stages": {
            name: _stage(before, tuning.after.get(name))
            for name, before in tuning.before.items()
        },
        # The whole way: what conversion, rounding and tuning came to.
        "fixed_against_rate": None
        if rate is None
        else compare_accuracies(rate.right, tuning.after["fixed"].right)._asdict(),
        "trials": dict(tuning.trials),
        "seeds": dict(tuning.seeds),
        "loss": tuning.loss,
        "quantized": plan.quantized,
        "rate_weight": plan.rate_weight,
        "timescale_weight": plan.timescale_weight,
        "reference": "given" if plan.wanted is not None else plan.reference,
        "timescale_amplitude": plan.timescale_amplitude,
        "timescale_lags_s": list(plan.timescale_lags),
        "timescale_epoch_s": plan.timescale_epoch,
        "reference_trials": plan.reference_trials,
        "config": describe_settings(plan.config),
        "quantization": describe_settings(tuning.quantization),
        "evaluations": [_evaluation(e) for e in tuned.evaluations],
        "losses": _by_part(tuned.losses),
    }


def read(path: Path) -> dict[str, Any]:
    """Return the numbers that `write` wrote."""
    numbers: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return numbers


def table(numbers: Mapping[str, Any]) -> Table:
    """Return a row per stage: accuracy and firing rate before and after tuning.

    The change stands with its 95 % interval, of the same trials before and after.
    """
    title = f"{numbers['input']}, {numbers['trials']['test']} trials never tuned on"
    rows = Table(title=title)
    rows.add_column("stage")
    for heading in ("before", "after", "change", "mean rate"):
        rows.add_column(heading, justify="right", no_wrap=True)
    for name, stage in numbers["stages"].items():
        before, after, change = stage["before"], stage["after"], stage["change"]
        # The rate network is not tuned: it has no second number.
        hz = [f"{end['mean_rate_hz']:.1f}" for end in (before, after) if end]
        rows.add_row(
            name,
            f"{before['accuracy']:.3f}",
            f"{after['accuracy']:.3f}" if after else "",
            _signed(change) if change else "",
            f"{' → '.join(hz)} Hz",
        )
    return rows


def verdict(numbers: Mapping[str, Any]) -> str:
    """Return in a few sentences what came of a tuning."""
    best, method = numbers["best"], numbers["config"]["method"]
    first = numbers["evaluations"][0]
    arithmetic = "the chip's arithmetic" if numbers["quantized"] else "floats"
    text = (
        f"{method} in {arithmetic}: {numbers['status']} after {numbers['updates']} "
        f"updates, best at {best['update']}; on the trials that chose it "
        f"{first['accuracy']:.3f} → {best['accuracy']:.3f}."
    )
    # Said plainly: a network that was left alone also keeps everything.
    if best["update"] == 0:
        text += " No update did better than the network as it was: it is unchanged."
    if numbers["fixed_against_rate"]:
        text += (
            " The tuned chip against the rate network: "
            f"{_signed(numbers['fixed_against_rate'])}."
        )
    return text


def _stage(before: StageScore, after: StageScore | None) -> dict[str, Any]:
    return {
        "before": _numbers(before),
        "after": None if after is None else _numbers(after),
        "change": None
        if after is None
        else compare_accuracies(before.right, after.right)._asdict(),
    }


def _numbers(score: StageScore) -> dict[str, float]:
    return {"accuracy": float(score.right.mean()), "mean_rate_hz": score.rate}


def _evaluation(evaluation: TuneEvaluation) -> dict[str, Any]:
    return {
        "update": evaluation.update,
        "accuracy": evaluation.accuracy,
        "mean_rate_hz": six_digits(evaluation.rate),
        "losses": {name: six_digits(loss) for name, loss in evaluation.losses.items()},
    }


def _by_part(losses: Sequence[Mapping[str, float]]) -> dict[str, list[float | None]]:
    """Return each part's loss at every update; null where it was not looked at."""
    # Some parts are looked at in some updates only; a dict keeps their order.
    names = dict.fromkeys(name for parts in losses for name in parts)
    return {
        name: [six_digits(parts.get(name, np.nan)) for parts in losses]
        for name in names
    }


def _signed(change: Mapping[str, float]) -> str:
    return (
        f"{change['difference']:+.3f} ({change['low']:+.3f} to {change['high']:+.3f})"
    )
