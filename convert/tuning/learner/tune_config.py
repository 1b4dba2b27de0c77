"""`TuneConfig`: how a LIF network is tuned."""

from dataclasses import dataclass

from isotau.convert.ground import settings, validation
from isotau.convert.simulate.trainable import SURROGATES, TRAINABLE, WEIGHTS
from isotau.convert.tuning.loss.segments import WHOLE, Segments

METHODS = ("bptt", "eprop", "eventprop", "fptt")
"""Their classes stand in `tune_loop`, in this order."""
RATE_MAX = 100.0
DTYPES = ("float32", "float64")
DYNAMICS = ("auto", "norse", "fused")
# upper bounds lie far above any use: they catch slips, and overflow later on
RULES: settings.Rules = (
    (
        settings.whole(1, 1 << 20),
        ("batch", "evaluate_every", "evaluate_trials", "quiet_every"),
    ),
    (settings.whole(4, 1 << 20), ("quiet_trials",)),  # two in each half of a batch (O8)
    (settings.whole(0, 1 << 30), ("updates", "halve_every", "patience")),
    (settings.whole(0, 1 << 20), ("update_levels",)),
    (settings.whole(0, 2**63 - 1), ("seed",)),  # int64, as torch's generators take it
    (settings.POSITIVE, ("width", "damping", "learning_rate", "quiet_length", "clip")),
    (settings.NOT_NEGATIVE, ("weight_noise", "quiet_settle", "stop_accuracy")),
    (settings.one_of(METHODS), ("method",)),
    (settings.one_of(SURROGATES), ("surrogate",)),
    (settings.one_of(DYNAMICS), ("dynamics",)),
    (settings.one_of(DTYPES), ("dtype",)),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneConfig:
    """How a LIF network is tuned.

    Attributes:
        method: how gradients are found, one of `METHODS`.
        train: names of what trains, from `trainable.TRAINABLE`.
        dale: whether the sign of each neuron's recurrent weights is kept. Neurons whose
            weights have both signs keep those weights' signs each.
        sparse: whether recurrent weights that are 0 stay 0.
        surrogate: one of `trainable.SURROGATES`.
        width: of the surrogate, as a share of v_th − v_reset.
        damping: the surrogate's slope at threshold, per v_th − v_reset, about: its unit
            is a power of two, which may change it by √2 either way, and "heavi_erfc"
            is 1.13 times as steep.
        batch: trials per update.
        learning_rate: of Adam, as a share of each parameter's typical size.
        halve_every: updates in which the learning rate falls to its half; 0 for never.
        clip: largest norm of the gradient, beyond which it is scaled down; None for
            none. The gradient is taken with respect to parameters in their typical
            size.
        updates: after which tuning ends.
        evaluate_every: updates between two evaluations on held-out trials.
        evaluate_trials: held-out trials; drawn once, the same for every evaluation.
        patience: evaluations without a better one after which tuning ends; 0 for never.
        stop_accuracy: accuracy on held-out trials at which tuning ends; None for never.
        segments: truncated and recomputed backward passes.
        quiet_trials: trials without input per update, for the timescale term.
        quiet_length: their length, in seconds.
        quiet_settle: seconds before them in which the network settles.
        quiet_every: updates between two with the timescale term.
        dynamics: "fused" for the compiled pass, "norse" for Norse's loop, "auto" for
            the first where it applies. Not looked at with the chip's arithmetic.
        dtype: of parameters and states.
        device: "cpu", "cuda" or "cuda:<number>".
        seed: of everything that is drawn.
        weight_noise: standard deviation of what is added to every recurrent and input
            weight in each forward pass, as a share of the typical weight; imprecise
            devices. Weights of 0 that stay 0 have none.
        update_levels: updates move weights by whole steps of which the largest weight
            has so many, rounded at random so that the mean is kept; 0 for exact ones.
    """

    method: str = "bptt"
    train: tuple[str, ...] = WEIGHTS
    dale: bool = True
    sparse: bool = True
    surrogate: str = "super"
    width: float = 0.1
    damping: float = 0.3
    batch: int = 32
    learning_rate: float = 0.01
    halve_every: int = 0
    clip: float | None = 1.0
    updates: int = 200
    evaluate_every: int = 10
    evaluate_trials: int = 100
    patience: int = 0
    stop_accuracy: float | None = None
    segments: Segments = WHOLE
    quiet_trials: int = 32
    quiet_length: float = 1.0
    quiet_settle: float = 0.3
    quiet_every: int = 1
    dynamics: str = "auto"
    dtype: str = "float32"
    device: str = "cpu"
    seed: int = 0
    weight_noise: float = 0.0
    update_levels: int = 0

    def __post_init__(self) -> None:
        """Check every field."""
        settings.check_settings(self, RULES)
        # one meant for raw gradients: beyond, a step would leave any range at once
        if self.learning_rate > RATE_MAX:
            raise ValueError(
                f"learning_rate: got {self.learning_rate}, need at most {RATE_MAX}; it "
                "is a share of each parameter's typical size, such as 0.01"
            )
        for cut, steps in self.segments._asdict().items():
            validation.whole(cut, steps, 0, 1 << 30)
        # Adam without a parameter would fail later, and name nothing
        if not self.train:
            raise ValueError(
                f"train: got nothing, need one or more of {', '.join(TRAINABLE)}"
            )
        for name in self.train:
            validation.choice("train", name, TRAINABLE)
