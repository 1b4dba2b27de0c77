"""What the main job is asked to do, how it tunes, and the seeds that it draws from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.wanted_timescales import WantedTimescales
from isotau.convert.to_fixed.quantize import QuantizeConfig
from isotau.convert.to_lif.chip_step import fitting_step
from isotau.convert.to_lif.choice_search import Budget
from isotau.convert.to_lif.convert_rate import ConvertConfig
from isotau.convert.to_lif.teacher import CalibrateConfig
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.sim.engines.engine import ENGINES
from isotau.sim.tasks import TASKS

REFERENCES = ("rate", "lif")


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningPlan:
    """How a converted network is tuned.

    Attributes:
        config: of the tuning.
        quantized: whether the forward pass is the chip's arithmetic, with the bits that
            the run's quantization asks for.
        loss: of the task, one of the `Objective`'s.
        rate_weight: of the term that keeps every neuron's firing rate.
        timescale_weight: of the term that asks for every state's autocovariance; 0 to
            leave it out.
        reference: stage whose autocovariances are asked for: "rate", or "lif", the
            network before tuning.
        wanted: timescales that are asked for in their place; None for the reference's.
        timescale_lags: at which they are compared, in seconds, from 0; empty for some
            from 0 to 0.3 s.
        timescale_amplitude: what errors in the size of an autocovariance count, those
            in its shape being 1; less than 1 where noise cannot have the size it needs.
        timescale_epoch: seconds of the task's trials in which states are looked at;
            None for trials without input.
        reference_trials: trials in which the reference is measured.
    """

    config: TuneConfig = field(default_factory=TuneConfig)
    quantized: bool = False
    loss: str = "mse"
    rate_weight: float = 0.0
    timescale_weight: float = 0.0
    reference: str = "rate"
    wanted: WantedTimescales | None = None
    timescale_lags: tuple[float, ...] = ()
    timescale_amplitude: float = 1.0
    timescale_epoch: tuple[float, float] | None = None
    reference_trials: int = 200

    def __post_init__(self) -> None:
        """Check the numbers."""
        # A task has targets: the loss of labels is that of a lesson from a file.
        validation.choice("loss", self.loss, ("mse", "norm"))
        validation.choice("reference", self.reference, REFERENCES)
        if self.timescale_epoch is not None:
            start, end = self.timescale_epoch
            validation.number("timescale_epoch", start, minimum=0)
            if not end > start:
                raise ValueError(
                    f"timescale_epoch: got {start:g} to {end:g} s, need an end after "
                    "the start"
                )
        # Two in each half of the trials, between which curves are compared.
        validation.whole("reference_trials", self.reference_trials, 4, 1 << 20)
        for name in ("rate_weight", "timescale_weight", "timescale_amplitude"):
            validation.number(name, getattr(self, name), minimum=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """What `run_pipeline` does.

    Attributes:
        task: name of the task, a key of `TASKS`.
        method: of the conversion, one of `isotau.convert.to_lif.conversion.METHODS`.
        copies: LIF neurons for each unit.
        budget: what the choice of a conversion may cost.
        trials: trials on which every stage but Lava is scored.
        search_trials: trials on which the conversion is made and chosen; others than
            those scored.
        timescale_trials: trials without input, for the timescales; every stage.
        lava_trials: how many of the scored trials also run in Lava.
        engine: what simulates the chip, a key of `ENGINES`; all give the same bits.
        seed: of everything that is drawn.
        constants: of the LIF neurons, from which the conversion starts.
        fit_step: whether neurons and chip go in longer steps than the constants' where
            the chip's registers hold no time constants as long as the network's.
        calibration: choices of the calibration.
        quantization: choices of the quantizer.
        tuning: how the converted network is tuned by gradient; None to leave it as the
            conversion made it.
    """

    task: str = "go-nogo"
    method: str = "calibrate"
    copies: int = 1
    budget: Budget = field(default_factory=Budget)
    trials: int = 400
    search_trials: int = 150
    timescale_trials: int = 50
    lava_trials: int = 8
    engine: str = "compiled"
    seed: int = 0
    constants: LIFConstants = field(default_factory=LIFConstants)
    fit_step: bool = True
    calibration: CalibrateConfig = field(default_factory=CalibrateConfig)
    quantization: QuantizeConfig = field(default_factory=QuantizeConfig)
    tuning: TuningPlan | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        validation.choice("task", self.task, sorted(TASKS))
        validation.choice("engine", self.engine, tuple(ENGINES))
        validation.whole("trials", self.trials, 1, 1 << 20)
        validation.whole("search_trials", self.search_trials, 4, 1 << 20)
        # Timescales come from covariances over trials.
        validation.whole("timescale_trials", self.timescale_trials, 3, 1 << 20)
        validation.whole("lava_trials", self.lava_trials, 1, self.trials)
        validation.whole("seed", self.seed, 0, 2**63 - 1)
        # For its own checks: method and copies stand there.
        how_to_convert(self)


def how_to_convert(config: RunConfig, rate: RateRNN | None = None) -> ConvertConfig:
    """Return the part of a run's configuration that `convert` takes.

    Args:
        config: of the run.
        rate: the network, to whose time constants the step is fitted if the
            configuration says so; None to leave the step as it is.
    """
    constants = config.constants
    if rate is not None and config.fit_step:
        constants = fitting_step(rate, constants, lag=config.calibration.lag)
    return ConvertConfig(
        method=config.method,
        copies=config.copies,
        budget=config.budget,
        constants=constants,
        calibration=config.calibration,
    )


class RunSeeds(NamedTuple):
    """Independent seeds for what a run draws, all from its one seed."""

    search: int
    search_noise: int
    calibration: int
    test: int
    rate: int
    lif: int
    lif_spontaneous: int
    chip: int
    chip_spontaneous: int
    chance: int
    rate_again: int
    rest: int


def run_seeds(seed: int) -> RunSeeds:
    """Return the seeds that a run's seed stands for."""
    return RunSeeds(*independent_seeds(seed, len(RunSeeds._fields)))


def independent_seeds(entropy: int | Sequence[int], count: int) -> list[int]:
    """Return so many seeds that one number, or several, stand for, each below 2^63.

    Numbers behind the first set seeds apart from others that come of the same first.
    """
    words = np.random.SeedSequence(entropy).generate_state(count, np.uint64)
    # numpy and torch take 64-bit seeds, but files and options signed ones.
    return [int(word >> np.uint64(1)) for word in words]
