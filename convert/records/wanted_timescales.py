"""`WantedTimescales`: what a user wants neurons to have, as far as it is known."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr

TAU_MAX = 1e4
"""Seconds beyond which a τ is a slip of units."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WantedTimescales:
    """Timescales of neurons, from a recording or from elsewhere.

    NaN stands for a neuron of which nothing is known.

    Attributes:
        tau: of each neuron, in seconds: its autocorrelation is exponential; None where
            `correlation` says what it is.
        correlation: autocorrelation of each neuron, lag × neuron; None with `tau`.
        lags: of it, in seconds, rising; lag 0, if it is left out, has 1.
        variance: of each neuron's state; None for that of the network to be tuned.
    """

    tau: Float64[np.ndarray, " n"] | None = None
    correlation: Float64[np.ndarray, "lags n"] | None = None
    lags: Float64[np.ndarray, " lags"] | None = None
    variance: Float64[np.ndarray, " n"] | None = None

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        if (self.tau is None) == (self.correlation is None):
            raise ValueError(
                "timescales: got none or both of tau and correlation, need one of them"
            )
        fields = {}
        if self.tau is not None:
            n = validation.length("tau", self.tau, ndim=1)
            fields["tau"] = _gappy("tau", self.tau, (n,), "neuron")
            if (fields["tau"] > TAU_MAX).any():
                raise ValueError(
                    f"tau: got {np.nanmax(fields['tau']):g} s, need at most "
                    f"{TAU_MAX:g} s; is it in milliseconds?"
                )
        if self.correlation is not None:
            fields |= _curves(self.correlation, self.lags)
            n = fields["correlation"].shape[1]
        if self.variance is not None:
            fields["variance"] = _gappy("variance", self.variance, (n,), "neuron")
        shape = fields["tau" if self.correlation is None else "correlation"]
        if not np.isfinite(shape).any():
            raise ValueError("timescales: got NaN for every neuron, need a number")
        validation.freeze(self, fields)

    @property
    def n(self) -> int:
        """Number of neurons."""
        known = self.tau if self.tau is not None else self.correlation
        assert known is not None
        return int(known.shape[-1])

    def curves(
        self, lags: Float64[np.ndarray, " lags"]
    ) -> Float64[np.ndarray, "lags n"]:
        """Return the autocorrelations at some lags, NaN for who is not known.

        Between lags that are known by a straight line.

        Args:
            lags: in seconds.

        Raises:
            ValueError: a lag beyond those that are known.
        """
        if self.tau is not None:
            return np.asarray(np.exp(-lags[:, None] / self.tau))
        assert self.correlation is not None and self.lags is not None
        if lags.max() > self.lags[-1] * (1 + 1e-9):
            raise ValueError(
                f"lags: got {lags.max():g} s, need at most {self.lags[-1]:g} s, the "
                "longest of the curves; choose shorter ones"
            )
        return np.stack(
            [np.interp(lags, self.lags, curve) for curve in self.correlation.T], axis=1
        )


def _curves(correlation: np.ndarray, lags: np.ndarray | None) -> dict[str, np.ndarray]:
    """Return curves and their lags, from lag 0 on, after checking both."""
    count = validation.length("correlation", correlation)
    n = validation.length("correlation", correlation, axis=1)
    values = _gappy("correlation", correlation, (count, n), "lag × neuron", signed=True)
    if lags is None:
        raise ValueError("lags: got none, need those of the correlation, in seconds")
    checked = validation.floats("lags", lags, (count,), "lag", minimum=0)
    if (np.diff(checked) <= 0).any():
        raise ValueError(
            f"lags: got {np.array2string(checked, threshold=6)}, need a rising row"
        )
    if checked[0] > 0:
        checked = np.concatenate([[0.0], checked])
        values = np.concatenate([values[:1] * 0 + 1, values])
    if (np.abs(values[0] - 1) > 1e-6).any():
        raise ValueError(
            "correlation: got other numbers than 1 at lag 0, need 1; divide by the "
            "variance, or give autocovariances"
        )
    return {"correlation": values, "lags": checked}


def _gappy(
    name: str,
    value: np.ndarray,
    shape: tuple[int, ...],
    layout: str,
    *,
    signed: bool = False,
) -> np.ndarray:
    """Return a copy of numbers, greater than 0 unless signed, NaN allowed."""
    array = np.array(value)
    missing = np.isnan(array) if array.dtype.kind == "f" else np.False_
    # Gaps are filled for the check of all else, and put back.
    array[missing] = 1
    filled = validation.floats(name, array, shape, layout, positive=not signed)
    gappy = np.where(missing, np.nan, filled)
    gappy.setflags(write=False)
    return gappy
