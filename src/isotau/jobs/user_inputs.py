"""A LIF network on inputs that a user gives: quantized, simulated, classified."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.read.read_inputs import Inputs
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.spikes import Spikes, mean_rate
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.readout import classify
from isotau.convert.to_fixed.prepare import check_spiking, prepare
from isotau.convert.to_fixed.quantization_report import QuantizationReport
from isotau.convert.to_fixed.quantize import QuantizeConfig, messages
from isotau.sim.engines import compiled, state_at_rest
from isotau.sim.engines.engine import engine_named
from isotau.sim.engines.run import Run
from isotau.sim.engines.state_at_rest import KeptState, compare_at_rest
from isotau.sim.spikes.raster_agreement import RasterAgreement, compare_rasters
from isotau.sim.tasks.accuracy import compare_accuracies

HEADROOMS = (1.25, 2.0, 4.0)
OUTLIERS = (("split", 99.0), ("clip", 99.9), ("clip", 99.0), ("clip", 97.0))
"""What a search tries: every head-room with every way and percentile."""
PLAIN = QuantizeConfig()
CHOICES = ("headroom", "num_weight_bits", "outliers", "percentile")
"""Fields of a configuration that are reported."""


class ClassAccuracy(NamedTuple):
    """Shares of the test trials that were classified rightly, of the same trials.

    The class of a trial is the output with the largest mean.
    """

    lif: float
    fixed: float
    low: float
    high: float
    """95 % interval of fixed − lif on the same trials."""
    same: float
    """Share of trials that both put into the same class."""


class SearchedConfig(NamedTuple):
    """One choice of the search, and how alike the rasters were on half the trials."""

    config: QuantizeConfig
    coincident: float
    accuracy: float | None


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Quantized:
    """A network in the chip's integers, and what that did to it.

    Attributes:
        fixed: the network, its biases corrected for truncated inputs.
        config: how it was quantized.
        report: every parameter before and after, without that correction.
        agreement: of LIF and chip rasters on the test trials.
        accuracy: on the test trials; None without labels.
        tried: what a search tried; empty without one.
        at_rest: what quantization did to the states without input; None without noise.
        trials: of calibration, and of the test; the same trials if there is but one.
    """

    fixed: FixedPointNetwork
    config: QuantizeConfig
    report: QuantizationReport
    agreement: RasterAgreement
    accuracy: ClassAccuracy | None
    tried: tuple[SearchedConfig, ...]
    at_rest: KeptState | None
    trials: tuple[int, int]


@short_repr
class Simulated(NamedTuple):
    """What a network did, and the class that it put each trial into.

    The class is the output with the largest mean.
    """

    spikes: Spikes
    classes: np.ndarray
    accuracy: float | None
    """Share of trials whose class is the label; None without labels."""


def quantize_on(
    net: LIFNetwork,
    inputs: Inputs,
    *,
    config: QuantizeConfig = PLAIN,
    search: bool = False,
    seed: int = 0,
    engine: Callable[..., Run] = compiled.run,
    progress: Progress = silent,
) -> Quantized:
    """Return the network prepared for the chip on given inputs, and how well it kept.

    The first half of the trials calibrates (`prepare`), and chooses if there is a
    `search`; the second half tests. A search tries head-rooms and ways with outliers
    and takes the one whose chip run is most accurate, or, without labels and among
    equals, has the largest share of coincident spikes.

    Args:
        net: the network.
        inputs: what it is shown; labels are classes, numbers of outputs.
        config: choices; a search replaces `headroom`, `outliers` and `percentile`.
        search: whether to search.
        seed: of the membrane noise, which differs between the two stages.
        engine: simulates the chip.
        progress: is given the steps as they pass.

    Raises:
        ValueError: labels beyond the outputs, a dt that is not the network's, or inputs
            that are no spikes where the configuration says so.
        DoesNotFit: the network does not fit the chip.
    """
    check_inputs(net, inputs)
    # Numbers other than one would be lost: a spike has no size on Loihi 1.
    if config.spiking_input:
        check_spiking(inputs.values, float(inputs.values.max()))
    batch = inputs.values.shape[1]
    # A single trial is both: better a test on what was seen than none.
    calibration = _part(inputs, slice(None, max(1, batch // 2)))
    test = _part(inputs, slice(batch // 2, None))
    # The test's trials go on counting: other noise, and no seed of its own.
    counted = calibration.values.shape[1]
    runs = [
        simulate_lif(
            net, part.values, seed=seed, first_trial=first_trial, progress=progress
        )
        for part, first_trial in ((calibration, 0), (test, counted))
    ]
    searched = []
    for choice in _choices(config) if search else ():
        fixed = prepare(net, calibration.values, config=choice, run=runs[0]).fixed
        chip = engine(
            fixed, messages(fixed, calibration.values, seed=seed), seed=seed
        ).spikes
        alike = compare_rasters(runs[0].spikes, chip)
        # On the calibration's trials: the test must not choose.
        score = _class_accuracy(net, calibration, runs[0].spikes, fixed, chip)
        accuracy = None if score is None else score.fixed
        searched.append(SearchedConfig(choice, alike.coincident, accuracy))
    # Of equals the first: the smallest head-room, which rounds least.
    best = max(searched, key=_rank).config if searched else config
    prepared = prepare(net, calibration.values, config=best, run=runs[0])
    fixed = prepared.fixed
    # Other noise than the LIF network's: what agrees is then not the noise.
    sent = messages(fixed, test.values, seed=seed + 1)
    chip = engine(fixed, sent, seed=seed + 1).spikes
    return Quantized(
        fixed=fixed,
        config=best,
        # Before the correction of biases: that is no error of rounding.
        report=prepared.report,
        agreement=compare_rasters(runs[1].spikes, chip),
        accuracy=_class_accuracy(net, test, runs[1].spikes, fixed, chip),
        tried=tuple(searched),
        at_rest=compare_at_rest(net, fixed, seed=seed),
        trials=(calibration.values.shape[1], test.values.shape[1]),
    )


def simulate_on(
    net: LIFNetwork | FixedPointNetwork,
    inputs: Inputs,
    *,
    engine: str = "compiled",
    seed: int = 0,
    progress: Progress = silent,
) -> Simulated:
    """Return what a network does on given inputs.

    Args:
        net: the network; a float one runs as the LIF stage.
        inputs: what it is shown, in steps of its dt.
        engine: simulates the chip, one of `isotau.sim.engines.engine.ENGINES`.
        seed: of the membrane noise.
        progress: is given the steps as they pass.

    Raises:
        ValueError: inputs that do not belong to the network, another engine.
    """
    check_inputs(net, inputs)
    if isinstance(net, LIFNetwork):
        run = simulate_lif(net, inputs.values, seed=seed, progress=progress)
        spikes = run.spikes
    else:
        sent = messages(net, inputs.values, seed=seed)
        spikes = engine_named(engine)(net, sent, seed=seed, progress=progress).spikes
    classes = classify(net, spikes)
    # Without labels there is nothing to be right about.
    accuracy = None
    if inputs.labels is not None:
        accuracy = float((classes == inputs.labels).mean())
    return Simulated(spikes, classes, accuracy)


def check_inputs(net: LIFNetwork | FixedPointNetwork, inputs: Inputs) -> None:
    """Refuse inputs of another step, and labels beyond the outputs.

    Raises:
        ValueError: either.
    """
    # A step that differs changes every time constant, and nothing would show it.
    if inputs.dt is not None and abs(inputs.dt / net.dt - 1) > 1e-6:
        raise ValueError(
            f"dt: got inputs of {inputs.dt} s, need {net.dt} s, the network's; resample"
        )
    if inputs.labels is not None and inputs.labels.max() >= net.n_out:
        raise ValueError(
            f"labels: got {inputs.labels.max()}, need less than {net.n_out}, the "
            "network's outputs"
        )


def summarize_quantized(quantized: Quantized) -> dict[str, Any]:
    """Return what came of quantizing as plain numbers for JSON."""
    agreement = quantized.agreement
    return {
        "config": _reported(quantized.config),
        "trials": dict(zip(("calibration", "test"), quantized.trials, strict=True)),
        "raster": {
            name: None if isinstance(value, float) and np.isnan(value) else value
            for name in RasterAgreement.__dataclass_fields__
            for value in [getattr(agreement, name)]
        },
        "accuracy": quantized.accuracy._asdict() if quantized.accuracy else None,
        "blocks": len(quantized.fixed.blocks),
        "state_at_rest": state_at_rest.summarize(quantized.at_rest),
        "tried": [
            _reported(choice.config)
            | {"coincident": choice.coincident, "accuracy": choice.accuracy}
            for choice in quantized.tried
        ],
    }


def describe_quantized(quantized: Quantized) -> str:
    """Return what came of quantizing in a few lines."""
    agreement, config = quantized.agreement, quantized.config
    weights = [p for p in quantized.report.parameters if p.name in ("w_in", "w_rec")]
    zeroed = sum(p.zeroed for p in weights)
    total = sum(p.total for p in weights)
    lines = [
        f"{quantized.fixed.n} neurons, {len(quantized.fixed.blocks)} blocks of weights "
        f"with {config.num_weight_bits} bits; {zeroed} of {total} weights became 0",
        f"outliers: {config.outliers}; head-room {config.headroom:g}; calibrated on "
        f"{quantized.trials[0]} trials, tested on {quantized.trials[1]}",
        f"rasters of LIF and chip: {agreement.coincident:.3f} of spikes coincide "
        f"within {agreement.tolerance} step at lag {agreement.lag}, cosine "
        f"{agreement.cosine:.3f}, of rates {agreement.rate_cosine:.3f}"
        if sum(agreement.spikes)
        else "rasters of LIF and chip: no spikes in either",
    ]
    if quantized.accuracy:
        a = quantized.accuracy
        lines.append(
            f"accuracy: {a.lif:.3f} (lif), {a.fixed:.3f} (fixed), difference "
            f"{a.fixed - a.lif:+.3f} ({a.low:+.3f} to {a.high:+.3f}); same class in "
            f"{a.same:.3f}"
        )
    at_rest = state_at_rest.describe(state_at_rest.summarize(quantized.at_rest))
    return "\n".join(filter(None, (*lines, at_rest)))


def describe_simulated(run: Simulated) -> str:
    """Return what came of a run in a line or two."""
    spikes = run.spikes
    lines = [
        f"{spikes.n} neurons, {spikes.batch} trials of {spikes.steps} steps: "
        f"{mean_rate(spikes):.2f} Hz on average"
    ]
    if run.accuracy is not None:
        lines.append(f"accuracy: {run.accuracy:.3f}")
    return "\n".join(lines)


def _part(inputs: Inputs, trials: slice) -> Inputs:
    labels = None if inputs.labels is None else inputs.labels[trials]
    return inputs._replace(values=inputs.values[:, trials], labels=labels)


def _choices(config: QuantizeConfig) -> list[QuantizeConfig]:
    return [
        replace(config, headroom=headroom, outliers=outliers, percentile=percentile)
        for headroom, (outliers, percentile) in itertools.product(HEADROOMS, OUTLIERS)
    ]


def _rank(choice: SearchedConfig) -> tuple[float, float]:
    # Accuracy first; a raster may differ where answers do not.
    return (choice.accuracy or 0.0, np.nan_to_num(choice.coincident))


def _reported(config: QuantizeConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in CHOICES}


def _class_accuracy(
    net: LIFNetwork,
    inputs: Inputs,
    spikes: Spikes,
    fixed: FixedPointNetwork,
    chip: Spikes,
) -> ClassAccuracy | None:
    """Return how both stages classified the same trials; None without labels."""
    if inputs.labels is None:
        return None
    classes = [classify(net, spikes), classify(fixed, chip)]
    right = [numbers == inputs.labels for numbers in classes]
    change = compare_accuracies(*right)
    return ClassAccuracy(
        lif=float(right[0].mean()),
        fixed=float(right[1].mean()),
        low=change.low,
        high=change.high,
        same=float((classes[0] == classes[1]).mean()),
    )
