"""`convert_rate`: any rate network to the LIF network that stands for it."""

from dataclasses import dataclass, field

from isotau.convert.ground import validation
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Score, Trials
from isotau.convert.to_lif.change_variables import replicate
from isotau.convert.to_lif.choice_search import Budget
from isotau.convert.to_lif.choose import choose
from isotau.convert.to_lif.conversion import METHODS, Conversion
from isotau.convert.to_lif.search_lambda import search_lambda
from isotau.convert.to_lif.teacher import CalibrateConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertConfig:
    """How to convert.

    Attributes:
        method: "calibrate" refits the weights to the neurons' spikes, for any
            activation; "scale" is the published mapping with one λ.
        copies: LIF neurons for each unit, a population code.
        budget: what "calibrate" may cost; more copies only where it allows them.
        constants: of the neurons; "calibrate" chooses `unit`, `v_leak` and no burn-in.
        calibration: for "calibrate"; "scale" takes its lag and its current noise.
        good_enough: accuracy, as a fraction of the rate network's on the same trials,
            which "calibrate" asks for.
    """

    method: str = "calibrate"
    copies: int = 1
    constants: LIFConstants = field(default_factory=LIFConstants)
    calibration: CalibrateConfig = field(default_factory=CalibrateConfig)
    budget: Budget = field(default_factory=Budget)
    good_enough: float = 0.99

    def __post_init__(self) -> None:
        """Check the choices."""
        validation.choice("method", self.method, METHODS)
        validation.whole("copies", self.copies, 1, 1 << 10)
        validation.number("good_enough", self.good_enough, minimum=0)


def convert_rate(
    rate: RateRNN,
    trials: Trials,
    *,
    score: Score,
    seed: int,
    config: ConvertConfig = ConvertConfig(),
    progress: Progress = silent,
) -> Conversion:
    """Return the LIF network that stands for a rate network.

    Args:
        rate: the network.
        trials: what it is shown, in its own steps, at least 4; fit and choice are made
            on them, so report accuracy on others.
        score: the task's rule.
        seed: of all noise.
        config: how.
        progress: is given the steps as they pass.

    Raises:
        ValueError: fewer than 4 trials, or trials that do not fit the network.
    """
    if trials.batch < 4:
        raise ValueError(
            f"trials: got {trials.batch}, need at least 4 to fit and judge"
        )
    if config.method == "scale":
        # copies come first: each is then searched for as a unit
        wide = replicate(rate, config.copies) if config.copies > 1 else rate
        return search_lambda(
            wide,
            trials,
            score=score,
            seed=seed,
            lag=config.calibration.lag,
            current_noise=config.calibration.current_noise,
            constants=config.constants,
            progress=progress,
        )
    return choose(
        rate,
        trials,
        score=score,
        seed=seed,
        config=config.calibration,
        constants=config.constants,
        copies=config.copies,
        budget=config.budget,
        good_enough=config.good_enough,
        progress=progress,
    )
