"""`RateRNN`: a trained rate network, as every reader returns it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64, Int8

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.neuron.activation import ACTIVATIONS as ACTIVATIONS
from isotau.convert.neuron.activation import activate as activate


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RateRNN:
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

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        n = validation.length("w_rec", self.w_rec)
        n_in = validation.length("w_in", self.w_in, axis=1)
        n_out = validation.length("w_out", self.w_out)
        fields: dict[str, Any] = {
            "w_rec": validation.floats("w_rec", self.w_rec, (n, n), "post × pre"),
            "w_in": validation.floats("w_in", self.w_in, (n, n_in), "post × input"),
            "w_out": validation.floats(
                "w_out", self.w_out, (n_out, n), "output × unit"
            ),
            "bias": validation.floats("bias", self.bias, (n,), "unit"),
            "b_out": validation.floats("b_out", self.b_out, (n_out,), "output"),
            "tau": validation.floats("tau", self.tau, (n,), "unit", positive=True),
            "dale": validation.integers(
                "dale", self.dale, (n,), "unit", dtype=np.int8, low=-1, high=1
            ),
            "activation": validation.choice("activation", self.activation, ACTIVATIONS),
            "noise_std": validation.number("noise_std", self.noise_std, minimum=0),
            "dt": validation.number("dt", self.dt, positive=True),
            "ceiling": None
            if self.ceiling is None
            else validation.number("ceiling", self.ceiling, positive=True),
            "x0_std": validation.number("x0_std", self.x0_std, minimum=0),
        }
        for name in ("x0", "readout_bias"):
            given = np.asarray(getattr(self, name))
            value = given if given.size else np.zeros(n)
            fields[name] = validation.floats(name, value, (n,), "unit")
        fields |= self._factors(n, fields["w_rec"])
        validation.freeze(self, fields)
        against = (self.w_rec * self.dale < 0).any(axis=0)
        if against.any():
            unit = int(np.argmax(against))
            raise ValueError(
                f"dale: got {self.dale[unit]} for unit {unit} whose outgoing weights "
                "have the other sign, need agreement; set dale to 0 for mixed signs"
            )

    def _factors(self, n: int, w_rec: np.ndarray) -> dict[str, np.ndarray]:
        """Return the factors, checked against the weights."""
        given = np.asarray(self.m_vectors)
        rank = given.shape[1] if given.ndim == 2 and given.size else 0
        checked = {}
        for name in ("m_vectors", "n_vectors"):
            value = np.asarray(getattr(self, name))
            value = value if value.size else np.zeros((n, 0))
            checked[name] = validation.floats(name, value, (n, rank), "unit × rank")
        if rank:
            product = checked["m_vectors"] @ checked["n_vectors"].T / n
            off = float(np.abs(product - w_rec).max())
            if off > 1e-6 * max(float(np.abs(w_rec).max()), 1e-300):
                raise ValueError(
                    f"m_vectors: got factors whose product is {off:.3g} off w_rec, "
                    "need w_rec = m_vectors @ n_vectors.T / n; leave them out"
                )
        return checked

    @property
    def rank(self) -> int:
        """Rank of the factors; 0 if the network has none."""
        return self.m_vectors.shape[1]

    @property
    def n(self) -> int:
        """Number of units."""
        return self.w_rec.shape[0]

    @property
    def n_in(self) -> int:
        """Number of input channels."""
        return self.w_in.shape[1]

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self.w_out.shape[0]
