"""`TrainConfig`: how rate networks are made and trained."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int8

from isotau.convert.ground import settings, validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.neuron.activation import ACTIVATIONS

LOSSES = ("norm", "mse")
"""Losses a `TrainConfig` may name."""
TRAINED = ("fixed", "gains", "weights")
"""What may be trained of input and output weights."""
# upper bounds lie far above any use: they catch slips, and overflow later on
RULES: settings.Rules = (
    (settings.whole(1, 1 << 20), ("n", "batch", "evaluate_every", "evaluate_trials")),
    (settings.whole(1, 1 << 20), ("stop_after",)),
    (settings.whole(0, 1 << 30), ("max_iterations", "min_trials")),
    (settings.POSITIVE, ("gain", "tau_min", "tau_max", "learning_rate", "stop_loss")),
    (settings.POSITIVE, ("clip", "ceiling")),
    (settings.NOT_NEGATIVE, ("noise_std", "training_noise_std", "x0_std", "w_in_std")),
    (settings.NOT_NEGATIVE, ("w_out_std", "inhibition", "rate_penalty")),
    # p_inh and others may be None: their type says so, and a rule passes it
    (settings.share, ("p_inh", "p_rec", "sst_fraction", "stop_accuracy")),
    (settings.FINITE, ("overlap",)),
    (settings.one_of(ACTIVATIONS), ("activation",)),
    (settings.one_of(LOSSES), ("loss",)),
    (settings.one_of(TRAINED), ("train_inputs", "train_outputs")),
)


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainConfig:
    """How a rate network is made and trained.

    The defaults are the published recipe, except for batches (it took one trial per
    update), more noise in training, and a stricter stop rule (it had 100 trials with a
    loss below 7 and an accuracy above 0.95, once, after 1500 trials). What only shapes
    a network's start is not looked at where training goes on from given networks.

    Attributes:
        n: number of units.
        p_inh: probability that a unit is inhibitory; None for units of mixed signs.
        p_rec: probability of a connection at the start; absent ones stay absent.
        gain: g, scales the initial weights |N(0, 1)| · g/√(n · p_rec).
        inhibition: factor on the initial weights of inhibitory units; 4 about balances
            excitation at p_inh 0.2, which harder tasks than Go-NoGo need.
        sst_fraction: how many of the inhibitory units get no inhibition, as SST cells.
        motif_mask: post × pre, 0 where no connection may be, 1 elsewhere.
        rank: of W = m nᵀ/n, whose factors are trained; None for a full matrix. Needs
            p_inh None; p_rec, gain and inhibition do not count then.
        overlap: initial n·m/n of each pair of factors; they are N(0, 1) beyond it.
        tau_min: lower end of the range of τ, in seconds.
        tau_max: its upper end; equal to `tau_min` for a fixed τ.
        activation: one of `activation.ACTIVATIONS`.
        ceiling: largest rate; None for none.
        noise_std: standard deviation of the noise added to x in every step.
        training_noise_std: of that noise while training; more than `noise_std` makes
            attractors that also withstand the noise of spikes after conversion.
        x0_std: standard deviation of x before the first step.
        w_in_std: scale of the input weights N(0, w_in_std²).
        w_out_std: scale of the initial output weights.
        train_inputs: "fixed", one gain per channel ("gains"), or "weights".
        train_outputs: "fixed", one gain per output ("gains"), or "weights".
        train_bias: whether each unit's bias is trained, from 0.
        loss: "norm", √Σ_t (z_t − o_t)² over the masked steps and outputs of a trial,
            meaned over the batch; or "mse", the mean of (z − o)² over all masked.
        rate_penalty: weight of the mean of r² in the loss.
        batch: trials per update.
        learning_rate: of Adam.
        clip: largest norm of a network's gradient, beyond which it is scaled down.
        max_iterations: updates after which training ends without success.
        min_trials: trials seen before training may stop.
        evaluate_every: updates between two evaluations.
        evaluate_trials: fresh trials per evaluation.
        stop_loss: an evaluation passes if its loss is below this,
        stop_accuracy: and its accuracy at least this.
        stop_after: passes in a row after which training stops.
    """

    n: int = 200
    p_inh: float | None = 0.2
    p_rec: float = 0.2
    gain: float = 1.5
    inhibition: float = 1.0
    sst_fraction: float = 0.0
    motif_mask: Int8[np.ndarray, "n n"] | None = None
    rank: int | None = None
    overlap: float = 0.0
    tau_min: float = 0.020
    tau_max: float = 0.100
    activation: str = "sigmoid"
    ceiling: float | None = None
    noise_std: float = 0.1
    training_noise_std: float = 0.3
    x0_std: float = 0.01
    w_in_std: float = 1.0
    w_out_std: float = 0.01
    train_inputs: str = "fixed"
    train_outputs: str = "weights"
    train_bias: bool = False
    loss: str = "norm"
    rate_penalty: float = 0.0
    batch: int = 32
    learning_rate: float = 0.01
    clip: float | None = None
    max_iterations: int = 1000
    min_trials: int = 12_800
    evaluate_every: int = 20
    evaluate_trials: int = 100
    stop_loss: float = 2.0
    stop_accuracy: float = 0.99
    stop_after: int = 3

    def __post_init__(self) -> None:
        """Check every field."""
        settings.check_settings(self, RULES)
        # equal ones are allowed: they fix τ
        if self.tau_max < self.tau_min:
            raise ValueError(
                f"tau_max: got {self.tau_max} s, need at least {self.tau_min} (tau_min)"
            )
        self._check_weights()

    def _check_weights(self) -> None:
        """Check rank and mask, which go together with other fields."""
        if self.motif_mask is not None:
            # as integers, so that a mask of probabilities is refused
            mask = validation.integers(
                "motif_mask",
                self.motif_mask,
                (self.n, self.n),
                "post × pre",
                dtype=np.int8,
                low=0,
                high=1,
            )
            validation.freeze(self, {"motif_mask": mask})
        # what follows is of factors: their product has signs and gaps of its own
        if self.rank is None:
            return
        validation.whole("rank", self.rank, 1, self.n)  # more factors span no more
        if self.p_inh is not None or self.motif_mask is not None:
            raise ValueError(
                f"rank: got {self.rank} with Dale's law or a mask, which the factors "
                "cannot keep; set p_inh and motif_mask to None"
            )
