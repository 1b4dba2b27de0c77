"""What `isotau tune` leaves: the networks, a picture, a JSON file, and one table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

import isotau
from isotau.convert import storage
from isotau.convert.fixedpoint import FixedPointNetwork
from isotau.convert.quantize import QuantizeConfig
from isotau.convert.spikes import mean_rate
from isotau.convert.tuning.config import describe
from isotau.convert.tuning.evaluate import Evaluation
from isotau.convert.tuning.loop import Tuned
from isotau.pipeline import Result
from isotau.plan import Stage
from isotau.report_numbers import versions
from isotau.run_config import draw_seeds
from isotau.sim import plot_tuning
from isotau.tuning_plan import TuningPlan

NUMBERS = "tuning.json"
Z = 1.959963984540054


class Scored(NamedTuple):
    """How a stage did on the test trials.

    Attributes:
        right: which trials were right, boolean, batch.
        rate: mean firing rate, in Hz.
    """

    right: np.ndarray
    rate: float


class Change(NamedTuple):
    """Difference of two accuracies on the same trials, and its 95 % interval."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tuning:
    """A tuned network, and how it did before and after on trials it never saw.

    Attributes:
        tuned: what tuning left.
        fixed: the tuned network in the chip's integers.
        before: by stage: "lif" and "fixed" without tuning, and "rate" if the network
            was converted.
        after: the same of "lif" and "fixed" after it.
        plan: how it was tuned.
        quantization: how both networks were brought to the chip.
        loss: of the task.
        trials: how many were for what; those of "test" were scored.
        seeds: of everything that was drawn.
    """

    tuned: Tuned
    fixed: FixedPointNetwork
    before: Mapping[str, Scored]
    after: Mapping[str, Scored]
    plan: TuningPlan
    quantization: QuantizeConfig
    loss: str
    trials: Mapping[str, int]
    seeds: Mapping[str, int]


def of_runs(before: Result, after: Result) -> Tuning:
    """Return the tuning of a converted network from a run without and one with it.

    Raises:
        ValueError: the second run was not tuned.
    """
    config = after.config
    if after.tuned is None or config.tuning is None:
        raise ValueError(
            "after: got a run without tuning, need one with; set RunConfig.tuning"
        )
    return Tuning(
        tuned=after.tuned,
        fixed=after.fixed,
        before={name: _scored(stage) for name, stage in before.stages.items()},
        after={name: _scored(after.stages[name]) for name in ("lif", "fixed")},
        plan=config.tuning,
        quantization=config.quantization,
        loss=config.tuning.loss,
        trials={"test": config.trials, "search": config.search_trials},
        seeds={"run": config.seed, **draw_seeds(config.seed)._asdict()},
    )


def compare(before: np.ndarray, after: np.ndarray) -> Change:
    """Return how accuracy changed on the same trials, with a 95 % interval.

    d = (gained − lost)/n; the interval is Wald's after half a trial was added to each
    of the four kinds of trials, so that it has a width also where no trial changed.
    Source: Agresti & Min 2005, doi:10.1002/sim.1781.

    Args:
        before: which trials were right, boolean.
        after: the same trials.
    """
    n = len(before) + 2
    gained, lost = (~before & after).sum() + 0.5, (before & ~after).sum() + 0.5
    middle = (gained - lost) / n
    reach = Z * np.sqrt(gained + lost - (gained - lost) ** 2 / n) / n
    difference = float(after.mean() - before.mean())
    return Change(difference, float(middle - reach), float(middle + reach))


def write(tuning: Tuning, out: Path, said: Mapping[str, Any]) -> Path:
    """Write what a tuning left into a folder; return the path of its numbers.

    `tuned.lif.npz`, `tuned.fixed.npz`, `curves.png` and `tuning.json`.

    Args:
        tuning: to write.
        out: the folder; made if need be, files of the same names are replaced.
        said: of the input and the arguments, for the JSON file.
    """
    tuned = tuning.tuned
    storage.save(tuned.network, out / "tuned.lif.npz")
    storage.save(tuning.fixed, out / "tuned.fixed.npz")
    plot_tuning.curves(
        out / "curves.png", tuned.losses, tuned.evaluations, best=tuned.best.update
    )
    numbers = dict(said) | summarize(tuning)
    text = json.dumps(numbers, indent=1, allow_nan=False, ensure_ascii=False)
    return storage.write_text(out / NUMBERS, text + "\n")


def summarize(tuning: Tuning) -> dict[str, Any]:
    """Return what is to be said of a tuning, but for its input."""
    tuned, plan = tuning.tuned, tuning.plan
    rate = tuning.before.get("rate")
    return {
        "isotau": isotau.__version__,
        "versions": versions(),
        "status": tuned.status,
        "problem": tuned.problem,
        "updates": len(tuned.losses),
        "best": _evaluation(tuned.best),
        "stages": {
            name: _stage(before, tuning.after.get(name))
            for name, before in tuning.before.items()
        },
        "fixed_against_rate": None
        if rate is None
        else compare(rate.right, tuning.after["fixed"].right)._asdict(),
        "trials": dict(tuning.trials),
        "seeds": dict(tuning.seeds),
        "loss": tuning.loss,
        "quantized": plan.quantized,
        "rate_weight": plan.rate_weight,
        "timescale_weight": plan.timescale_weight,
        "reference": plan.reference,
        "reference_trials": plan.reference_trials,
        "config": describe(plan.config),
        "quantization": _plain(asdict(tuning.quantization)),
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
    said = (
        f"{method} in {arithmetic}: {numbers['status']} after {numbers['updates']} "
        f"updates, best at {best['update']}; on the trials that chose it "
        f"{first['accuracy']:.3f} → {best['accuracy']:.3f}."
    )
    if best["update"] == 0:
        said += " No update did better than the network as it was: it is unchanged."
    if numbers["fixed_against_rate"]:
        said += (
            " The tuned chip against the rate network: "
            f"{_signed(numbers['fixed_against_rate'])}."
        )
    return said


def _scored(stage: Stage) -> Scored:
    return Scored(stage.right, mean_rate(stage.spikes))


def _stage(before: Scored, after: Scored | None) -> dict[str, Any]:
    return {
        "before": _numbers(before),
        "after": None if after is None else _numbers(after),
        "change": None
        if after is None
        else compare(before.right, after.right)._asdict(),
    }


def _numbers(scored: Scored) -> dict[str, float]:
    accuracy = float(scored.right.mean())
    return {"accuracy": accuracy, "mean_rate_hz": scored.rate}


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "update": evaluation.update,
        "accuracy": evaluation.accuracy,
        "mean_rate_hz": _finite(evaluation.rate),
        "losses": {name: _finite(loss) for name, loss in evaluation.losses.items()},
    }


def _by_part(losses: Sequence[Mapping[str, float]]) -> dict[str, list[float | None]]:
    """Return each part's loss at every update; null where it was not looked at."""
    names = dict.fromkeys(name for told in losses for name in told)
    return {
        name: [_finite(told.get(name, np.nan)) for told in losses] for name in names
    }


def _finite(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _plain(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return choices with tables of bits as JSON holds them."""
    return {k: dict(v) if isinstance(v, Mapping) else v for k, v in choices.items()}


def _signed(change: Mapping[str, float]) -> str:
    return (
        f"{change['difference']:+.3f} ({change['low']:+.3f} to {change['high']:+.3f})"
    )
