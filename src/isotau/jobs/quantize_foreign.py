"""Quantizing a LIF network on inputs that a user gives, and how well it kept."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.read.read_inputs import Inputs
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.spikes import Spikes
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.prepare import prepare
from isotau.convert.to_fixed.quantization_report import QuantizationReport
from isotau.convert.to_fixed.quantize import QuantizeConfig, messages
from isotau.jobs.simulate_on import check_inputs, classify
from isotau.sim.engines import compiled
from isotau.sim.engines.run import Run
from isotau.sim.spikes.raster_agreement import RasterAgreement, compare_rasters
from isotau.sim.tasks.accuracy import compare_accuracies

HEADROOMS = (1.25, 2.0, 4.0)
OUTLIERS = (("split", 99.0), ("clip", 99.9), ("clip", 99.0), ("clip", 97.0))
"""What a search tries."""
PLAIN = QuantizeConfig()


class Accuracy(NamedTuple):
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


class Tried(NamedTuple):
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
        trials: of calibration, and of the test; the same trials if there is but one.
    """

    fixed: FixedPointNetwork
    config: QuantizeConfig
    report: QuantizationReport
    agreement: RasterAgreement
    accuracy: Accuracy | None
    tried: tuple[Tried, ...]
    trials: tuple[int, int]


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
    """Return the network quantized with the ranges that it visits on given inputs.

    The first half of the trials sets the state scales and the corrections of the
    biases, and chooses if there is a `search`; the second half tests. A search tries
    head-rooms and ways with outliers and takes the one whose chip run is most accurate,
    or, without labels and among equals, has the largest share of coincident spikes.

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
    if config.spiking_input:
        _check_spikes(inputs)
    batch = inputs.values.shape[1]
    half = slice(None, max(1, batch // 2)), slice(batch // 2, None)
    first, second = (_some(inputs, part) for part in half)
    generator = torch.Generator().manual_seed(seed)
    seen = simulate_lif(net, first.values, generator=generator, progress=progress)
    shown = simulate_lif(net, second.values, generator=generator, progress=progress)
    tried: list[Tried] = []
    for choice in _choices(config) if search else ():
        made = prepare(net, first.values, config=choice, run=seen).fixed
        chip = engine(made, messages(made, first.values), seed=seed).spikes
        tried.append(_score(net, first, seen.spikes, made, chip, choice))
    best = max(tried, key=_rank).config if tried else config
    prepared = prepare(net, first.values, config=best, run=seen)
    made = prepared.fixed
    chip = engine(made, messages(made, second.values), seed=seed + 1).spikes
    return Quantized(
        fixed=made,
        config=best,
        report=prepared.report,
        agreement=compare_rasters(shown.spikes, chip, lags=_lags(shown.spikes)),
        accuracy=_accuracy(net, second, shown.spikes, made, chip),
        tried=tuple(tried),
        trials=(first.values.shape[1], second.values.shape[1]),
    )


def summarize(found: Quantized) -> dict[str, Any]:
    """Return what came of it as plain numbers for JSON."""

    def chosen(config: QuantizeConfig) -> dict[str, Any]:
        names = ("headroom", "num_weight_bits", "outliers", "percentile")
        return {name: getattr(config, name) for name in names}

    agreed = found.agreement
    return {
        "config": chosen(found.config),
        "trials": dict(zip(("calibration", "test"), found.trials, strict=True)),
        "raster": {
            name: None if isinstance(value, float) and np.isnan(value) else value
            for name in RasterAgreement.__dataclass_fields__
            for value in [getattr(agreed, name)]
        },
        "accuracy": found.accuracy._asdict() if found.accuracy else None,
        "blocks": len(found.fixed.blocks),
        "tried": [
            chosen(t.config) | {"coincident": t.coincident, "accuracy": t.accuracy}
            for t in found.tried
        ],
    }


def describe(found: Quantized) -> str:
    """Return the outcome in a few lines."""
    agreed, chosen = found.agreement, found.config
    weights = [p for p in found.report.parameters if p.name in ("w_in", "w_rec")]
    zeroed = sum(p.zeroed for p in weights)
    total = sum(p.total for p in weights)
    lines = [
        f"{found.fixed.n} neurons, {len(found.fixed.blocks)} blocks of weights with "
        f"{chosen.num_weight_bits} bits; {zeroed} of {total} weights became 0",
        f"outliers: {chosen.outliers}; head-room {chosen.headroom:g}; calibrated on "
        f"{found.trials[0]} trials, tested on {found.trials[1]}",
        f"rasters of LIF and chip: {agreed.coincident:.3f} of spikes coincide within "
        f"{agreed.tolerance} step at lag {agreed.lag}, cosine {agreed.cosine:.3f}, of "
        f"rates {agreed.rate_cosine:.3f}"
        if sum(agreed.spikes)
        else "rasters of LIF and chip: no spikes in either",
    ]
    if found.accuracy:
        a = found.accuracy
        lines.append(
            f"accuracy: {a.lif:.3f} (lif), {a.fixed:.3f} (fixed), difference "
            f"{a.fixed - a.lif:+.3f} ({a.low:+.3f} to {a.high:+.3f}); same class in "
            f"{a.same:.3f}"
        )
    return "\n".join(lines)


def _check_spikes(inputs: Inputs) -> None:
    peak = float(inputs.values.max())
    odd = (inputs.values != 0) & (inputs.values != peak)
    if odd.any() or peak <= 0:
        got = inputs.values[odd][0] if odd.any() else peak
        raise ValueError(
            f"inputs: got {got} among them, need 0 and one positive number alone, to "
            "enter as spikes; leave spiking_input out"
        )


def _some(inputs: Inputs, trials: slice) -> Inputs:
    labels = None if inputs.labels is None else inputs.labels[trials]
    return inputs._replace(values=inputs.values[:, trials], labels=labels)


def _choices(config: QuantizeConfig) -> list[QuantizeConfig]:
    return [
        replace(config, headroom=headroom, outliers=outliers, percentile=percentile)
        for headroom, (outliers, percentile) in itertools.product(HEADROOMS, OUTLIERS)
    ]


def _lags(spikes: Spikes) -> range:
    return range(-min(4, spikes.steps - 1), min(4, spikes.steps - 1) + 1)


def _score(
    net: LIFNetwork,
    inputs: Inputs,
    float_spikes: Spikes,
    made: FixedPointNetwork,
    chip: Spikes,
    config: QuantizeConfig,
) -> Tried:
    found = compare_rasters(float_spikes, chip, lags=_lags(chip))
    accuracy = _accuracy(net, inputs, float_spikes, made, chip)
    return Tried(config, found.coincident, accuracy.fixed if accuracy else None)


def _rank(tried: Tried) -> tuple[float, float]:
    return (tried.accuracy or 0.0, np.nan_to_num(tried.coincident))


def _accuracy(
    net: LIFNetwork,
    inputs: Inputs,
    float_spikes: Spikes,
    made: FixedPointNetwork,
    chip: Spikes,
) -> Accuracy | None:
    if inputs.labels is None:
        return None
    classes = [classify(net, float_spikes), classify(made, chip)]
    right = [chosen == inputs.labels for chosen in classes]
    change = compare_accuracies(*right)
    return Accuracy(
        lif=float(right[0].mean()),
        fixed=float(right[1].mean()),
        low=change.low,
        high=change.high,
        same=float((classes[0] == classes[1]).mean()),
    )
