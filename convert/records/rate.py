"""`RateRNN`: a trained rate network, as every reader returns it."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64, Int8

from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.validation import (
    Numbers,
    Size,
    check_fields,
    choice,
    floats,
    freeze,
    length,
)
from isotau.convert.neuron.activation import ACTIVATIONS as ACTIVATIONS
from isotau.convert.neuron.activation import activate as activate
from isotau.convert.records.content import RecordContent


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RateRNN(RecordContent):
    """A rate network: τ dx/dt = −x + W_rec r + W_in u + b, r = φ(x), o = W_out r + b_o.

    In steps of dt: x ← (1 − dt/τ) x + (dt/τ)(W_rec r + W_in u + b) + noise_std·ξ with
    ξ ~ N(0, 1); the noise is not scaled by dt/τ. x starts at N(x0, x0_std²). With
    dt = τ the network is the discrete one without leak.
    Source: Kim, Li & Sejnowski 2019, doi:10.1073/pnas.1905926116, equations 1 to 6.

    Attributes:
        w_rec: effective signed recurrent weights, post × pre, no unit.
        w_in: input weights, post × input channel.
        w_out: output weights, output × unit.
        bias: constant drive of each unit, in the unit of x.
        b_out: constant part of each output.
        tau: synaptic decay time constant τ of each unit, in seconds.
        dale: +1 for an excitatory, −1 for an inhibitory unit, 0 where signs are mixed;
            a column of `w_rec` must not contradict it.
        activation: one of `ACTIVATIONS`.
        noise_std: standard deviation of the noise added to x in every step.
        dt: integration step, in seconds.
        ceiling: largest r, None for none; 20 for relu and softplus in spikeRNN.
        x0: mean state before the first step; zero if not given.
        x0_std: its standard deviation.
        readout_bias: o = W_out φ(x + readout_bias) + b_o; zero if not given. Low-rank
            files read out φ(h) and recur through φ(h + b): x = h + b, readout_bias −b.
        m_vectors: unit × rank; with `n_vectors` the factors of a low-rank network,
            W_rec = m nᵀ/N. No columns if not given.
        n_vectors: unit × rank, see `m_vectors`.
        shared_noise: unit × source: what a standard normal number of each source,
            drawn in every step, adds to x beside each unit's own noise: of rank r is
            the noise m ε of low-rank networks. No columns if not given.
    """

    w_rec: Float64[np.ndarray, "n n"]
    w_in: Float64[np.ndarray, "n n_in"]
    w_out: Float64[np.ndarray, "n_out n"]
    bias: Float64[np.ndarray, " n"]
    b_out: Float64[np.ndarray, " n_out"]
    tau: Float64[np.ndarray, " n"]
    dale: Int8[np.ndarray, " n"]
    activation: str
    noise_std: float
    dt: float
    ceiling: float | None = None
    x0: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    x0_std: float = 0.01
    readout_bias: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    m_vectors: Float64[np.ndarray, "n rank"] = field(
        default_factory=lambda: np.zeros((0, 0))
    )
    n_vectors: Float64[np.ndarray, "n rank"] = field(
        default_factory=lambda: np.zeros((0, 0))
    )

    shared_noise: Float64[np.ndarray, "n sources"] = field(
        default_factory=lambda: np.zeros((0, 0))
    )

    LATER = ("shared_noise",)

    # Sizes stand in no field of their own, so that none can contradict the arrays.
    rank = Size("m_vectors", 1)
    """Number of factors; 0 for a network without."""
    n = Size("w_rec")
    """Number of units."""
    n_in = Size("w_in", 1)
    """Number of input channels."""
    n_out = Size("w_out")
    """Number of outputs."""

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        check_fields(
            self,
            RULES,
            n=length("w_rec", self.w_rec),
            n_in=length("w_in", self.w_in, axis=1),
            n_out=length("w_out", self.w_out),
        )
        choice("activation", self.activation, ACTIVATIONS)
        self._check_factors()
        freeze(self, {"shared_noise": loadings(self.shared_noise, self.n)})
        # Column j holds what unit j sends: its sign is Dale's.
        contradicted = (self.w_rec * self.dale < 0).any(axis=0)
        if contradicted.any():
            unit = int(np.argmax(contradicted))
            raise ValueError(
                f"dale: got {self.dale[unit]} for unit {unit} whose outgoing weights "
                "have the other sign, need agreement; set dale to 0 for mixed signs"
            )

    def _check_factors(self) -> None:
        """Check and freeze the factors, which have to give the weights (R9)."""
        # Without factors both have N rows and no column, so that their product is 0.
        m = np.asarray(self.m_vectors)
        rank = m.shape[1] if m.ndim == 2 and m.size else 0
        factors: dict[str, np.ndarray] = {}
        for name in ("m_vectors", "n_vectors"):
            value = np.asarray(getattr(self, name))
            value = value if value.size else np.zeros((self.n, 0))
            factors[name] = floats(name, value, (self.n, rank), "unit × rank")
        freeze(self, factors)
        if not rank:
            return
        product = self.m_vectors @ self.n_vectors.T / self.n
        error = float(np.abs(product - self.w_rec).max())
        # Files keep weights and factors rounded to float32, each on its own.
        if error > 1e-6 * max(float(np.abs(self.w_rec).max()), 1e-300):
            raise ValueError(
                f"m_vectors: got factors whose product is {error:.3g} off w_rec, "
                "need w_rec = m_vectors @ n_vectors.T / n; leave them out"
            )

    @property
    def noisy(self) -> bool:
        """Whether anything is added to x that no input explains."""
        return bool(self.noise_std > 0 or self.shared_noise.any())


def loadings(value: np.ndarray, n: int) -> Float64[np.ndarray, "n sources"]:
    """Return what sources of noise add to units; without sources, no columns."""
    array = np.asarray(value)
    if not array.size:
        array = np.zeros((n, 0))
    sources = array.shape[1] if array.ndim == 2 else 0
    return floats("shared_noise", array, (n, sources), "unit × source")


# Columns are senders: post × pre throughout.
RULES = {
    "w_rec": Numbers("n n", "post × pre"),
    "w_in": Numbers("n n_in", "post × input"),
    "w_out": Numbers("n_out n", "output × unit"),
    "bias": Numbers("n", "unit"),
    "b_out": Numbers("n_out", "output"),
    "tau": Numbers("n", "unit", positive=True),
    "dale": Numbers("n", "unit", dtype=np.int8, low=-1, high=1),
    **dict.fromkeys(("noise_std", "x0_std"), Numbers(minimum=0)),
    "dt": Numbers(positive=True),
    "ceiling": Numbers(positive=True, optional=True),
    # Zero where the caller, or an older file, does not say.
    **dict.fromkeys(("x0", "readout_bias"), Numbers("n", "unit", empty=0.0)),
}
"""What the numbers of a `RateRNN` have to be."""
