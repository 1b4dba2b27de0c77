"""`RateRNN`: a trained rate network, as every reader returns it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int8

from isotau.convert import validation

ACTIVATIONS = ("sigmoid", "relu", "softplus")
"""Activations a `RateRNN` may name; relu and softplus are clipped at 20."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RateRNN:
    """A rate network: τ dx/dt = −x + W_rec r + W_in u + b, r = σ(x), o = W_out r + b_o.

    In steps of dt: x ← (1 − dt/τ) x + (dt/τ)(W_rec r + W_in u + b) + noise_std·ξ with
    ξ ~ N(0, 1); the noise is not scaled by dt/τ. x starts at N(0, 0.01²).
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
        }
        validation.freeze(self, fields)
        against = (self.w_rec * self.dale < 0).any(axis=0)
        if against.any():
            unit = int(np.argmax(against))
            raise ValueError(
                f"dale: got {self.dale[unit]} for unit {unit} whose outgoing weights "
                "have the other sign, need agreement; set dale to 0 for mixed signs"
            )

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


def activate(x: Float64[np.ndarray, "*shape"], activation: str) -> np.ndarray:
    """Return σ(x) for one of `ACTIVATIONS`.

    sigmoid: 1/(1 + e^−x); relu: max(x, 0) and softplus: log(1 + e^x), both clipped at
    20 as in the code that trains them.
    """
    match validation.choice("activation", activation, ACTIVATIONS):
        case "sigmoid":
            return 0.5 * (1.0 + np.tanh(0.5 * x))
        case "relu":
            return np.clip(x, 0.0, 20.0)
        case _:
            return np.clip(np.logaddexp(0.0, x), 0.0, 20.0)
