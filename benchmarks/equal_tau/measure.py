"""What one network's states are at every stage, beside two runs of the same stage."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from benchmarks.equal_tau.figures import (
    StateRun,
    UnitTraits,
    causes,
    compare_states,
    explain,
    state_run,
)
from benchmarks.equal_tau.states import (
    Situation,
    chip_states,
    epoch,
    lif_states,
    rate_states,
    rest,
)
from isotau.convert.ground.sparse import SparseWeights, as_scipy
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, mean_rate, select, window
from isotau.convert.to_lif.conversion import Conversion
from isotau.jobs.pipeline import ConvertedNetwork, convert_for
from isotau.jobs.run_config import RunConfig, independent_seeds
from isotau.jobs.stages import chip_messages, chip_stage, lif_stage, rate_stage
from isotau.sim.timescales.estimators.ml import ml

STAGES = ("rate", "lif", "fixed")
PAIRS = (("rate", "lif"), ("lif", "fixed"), ("rate", "fixed"))


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is looked at.

    Attributes:
        trials: in which states are looked at, at rest and in the task's epoch.
        settle: seconds before them.
        rest: seconds of a trial at rest.
        epoch: seconds of a trial in the task's epoch.
        scored: trials of the task that every stage answers.
        counted: trials at rest whose spikes are counted.
        counted_s: seconds of each.
    """

    trials: int = 150
    settle: float = 1.0
    rest: float = 4.0
    epoch: float = 2.0
    scored: int = 200
    counted: int = 60
    counted_s: float = 2.0


QUICK = Sizes(trials=12, rest=2.0, epoch=1.0, scored=40, counted=12)


class StageRuns(NamedTuple):
    """Two runs of each stage in one situation, and the spikes of the first."""

    runs: dict[str, tuple[StateRun, StateRun]]
    spikes: dict[str, Spikes]


def measure(
    rate: RateRNN,
    task: str,
    *,
    copies: int,
    seed: int,
    sizes: Sizes,
    spikes: bool,
) -> dict[str, Any]:
    """Return the figures of one network.

    Args:
        rate: the network.
        task: what it was trained on.
        copies: neurons for each unit.
        seed: of everything that is drawn.
        sizes: how much is looked at.
        spikes: whether timescales are also estimated from spikes.
    """
    start, worked = time.perf_counter(), time.process_time()
    config = RunConfig(task=task, copies=copies, seed=seed, trials=sizes.scored)
    converted = convert_for(rate, config)
    seconds, work = time.perf_counter() - start, time.process_time() - worked
    conversion = converted.conversion
    seeds = independent_seeds([seed, copies], 3)
    resting = rest(rate, trials=sizes.trials, settle=sizes.settle, length=sizes.rest)
    engaged = epoch(
        converted.plan.task,
        rate,
        trials=sizes.trials,
        settle=sizes.settle,
        length=sizes.epoch,
        seed=seeds[0],
    )
    at_rest = run_stages(converted, resting, seed=seeds[1], quiet=True, observed=spikes)
    in_task = run_stages(converted, engaged, seed=seeds[2], quiet=False, observed=False)
    compared = {"rest": compared_stages(at_rest), "epoch": compared_stages(in_task)}
    beside = compared["rest"]["rate to lif"]
    reasons = explain(
        *(at_rest.runs[x][0] for x in ("rate", "lif")),
        traits(rate, conversion, at_rest.spikes["lif"]),
    )
    return {
        "n": rate.n,
        "task": task,
        "copies": copies,
        "seconds": seconds,
        "cpu_seconds": work,
        "chosen": _plain(conversion.chosen),
        "why_chosen": conversion.why,
        "candidates": [_plain(candidate) for candidate in conversion.candidates],
        "states": compared,
        "why": reasons | {"causes": causes(reasons, beside)},
        "rest_hz": {name: mean_rate(s) for name, s in at_rest.spikes.items()},
        "answers": answers(converted),
        "spikes": from_spikes(at_rest.spikes, sizes) if spikes else None,
    }


def run_stages(
    converted: ConvertedNetwork,
    shown: Situation,
    *,
    seed: int,
    quiet: bool,
    observed: bool,
) -> StageRuns:
    """Return two runs of each stage.

    Args:
        converted: the network.
        shown: to every stage.
        seed: of all noise.
        quiet: whether nothing is shown, and windows are looked at, too.
        observed: whether a Poisson observer sees the rate network's spikes.
    """
    rate, conversion = converted.rate, converted.conversion
    fixed = converted.prepared.fixed
    stages: dict[str, Callable[[int], tuple[np.ndarray, Spikes | None]]] = {
        "rate": lambda s: rate_states(
            rate, shown, conversion, seed=s, observed=observed
        ),
        "lif": lambda s: lif_states(rate, shown, conversion, seed=s),
        "fixed": lambda s: chip_states(rate, shown, conversion, fixed, seed=s),
    }
    seeds = iter(independent_seeds(seed, 2 * len(stages)))
    runs, spikes = {}, {}
    for name, states in stages.items():
        pair = []
        for again in range(2):
            x, spiked = states(next(seeds))
            pair.append(state_run(x, rate.dt, shown.conditions, windowed=quiet))
            if spiked is not None and not again:
                spikes[name] = spiked
        runs[name] = (pair[0], pair[1])
    return StageRuns(runs, spikes)


def compared_stages(stages: StageRuns) -> dict[str, Any]:
    """Return how one stage differs from another, and each from its own second run."""
    runs = stages.runs
    pairs = {f"{a} to {b}": compare_states(runs[a][0], runs[b][0]) for a, b in PAIRS}
    floors = {name: compare_states(*pair) for name, pair in runs.items()}
    return pairs | {"floor": floors}


def answers(converted: ConvertedNetwork) -> dict[str, Any]:
    """Return accuracy and mean rate of every stage in the task's trials."""
    plan, prepared = converted.plan, converted.prepared
    sent = chip_messages(prepared.fixed, plan)
    stages = {
        "rate": rate_stage(converted.rate, converted.conversion, plan),
        "lif": lif_stage(converted.conversion.network, plan),
        "fixed": chip_stage(prepared.fixed, prepared.report, plan, sent).stage,
    }
    return {
        name: {"accuracy": float(run.right.mean()), "rate_hz": mean_rate(run.spikes)}
        for name, run in stages.items()
    }


def traits(rate: RateRNN, conversion: Conversion, spikes: Spikes) -> UnitTraits:
    """Return what could make a unit's timescale go wrong."""
    net, constants = conversion.network, conversion.constants
    by_unit = (rate.n, net.n // rate.n)
    w_rec = net.w_rec
    dense = as_scipy(w_rec) if isinstance(w_rec, SparseWeights) else w_rec
    onto = np.asarray(abs(dense).sum(axis=1)).reshape(by_unit)
    hz = neuron_rates(spikes).reshape(by_unit)
    return UnitTraits(
        tau=np.asarray(rate.tau),
        # One neuron's: copies each have as many synapses, of less weight.
        weights=onto.mean(axis=1) / constants.unit,
        rate_hz=hz.mean(axis=1),
        highest_hz=1 / (constants.refractory + constants.dt),
    )


def neuron_rates(spikes: Spikes) -> np.ndarray:
    """Return every neuron's mean rate, in Hz."""
    total = np.zeros(spikes.n)
    for trial in range(spikes.batch):
        bits = np.unpackbits(
            np.asarray(spikes.bits[:, trial]), axis=-1, bitorder="little"
        )
        total += bits[:, : spikes.n].sum(axis=0)
    return total / (spikes.batch * spikes.steps * spikes.dt)


def from_spikes(spikes: dict[str, Spikes], sizes: Sizes) -> dict[str, Any]:
    """Return the timescales that an experimenter would find, held against the rates'.

    Args:
        spikes: at rest, of every stage; of the rate stage those of a Poisson observer.
        sizes: how many of them are counted.
    """
    taus = {}
    for name, train in spikes.items():
        steps = min(train.steps, round(sizes.counted_s / train.dt))
        taus[name] = ml(select(window(train, 0, steps), slice(sizes.counted))).tau
    figures: dict[str, Any] = {}
    for name, tau in taus.items():
        found = np.isfinite(tau)
        both = found & np.isfinite(taus["rate"])
        ratio = np.log(tau[both] / taus["rate"][both])
        figures[name] = {
            "with_tau": int(found.sum()),
            "median_s": float(np.median(tau[found])) if found.any() else None,
            "both": int(both.sum()),
            "ratio": float(np.exp(np.median(ratio))) if both.any() else None,
        }
    return figures


def _plain(record: Any) -> dict[str, Any]:
    """Return a record's fields as JSON has them; what is no number is left out."""
    fields = dataclasses.asdict(record)
    return {
        name: value
        for name, value in fields.items()
        if value is None
        or isinstance(value, str | bool | int)
        or (isinstance(value, float) and np.isfinite(value))
    }
