"""`TuningPlan`: how a network is tuned on its way to the chip."""

from dataclasses import dataclass, field

from isotau.convert import validation
from isotau.convert.tuning.config import TuneConfig

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
        timescale_weight: of the term that keeps every neuron's autocorrelation; 0 to
            leave it out.
        reference: stage whose autocorrelations are to be kept: "rate", seen through the
            Poisson observer, or "lif", the network before tuning.
        reference_trials: trials without input in which they are measured.
    """

    config: TuneConfig = field(default_factory=TuneConfig)
    quantized: bool = False
    loss: str = "mse"
    rate_weight: float = 0.0
    timescale_weight: float = 0.0
    reference: str = "rate"
    reference_trials: int = 200

    def __post_init__(self) -> None:
        """Check the numbers."""
        validation.choice("loss", self.loss, ("mse", "norm"))
        validation.choice("reference", self.reference, REFERENCES)
        validation.whole("reference_trials", self.reference_trials, 4, 1 << 20)
        for name in ("rate_weight", "timescale_weight"):
            validation.number(name, getattr(self, name), minimum=0)
