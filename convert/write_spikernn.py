"""Writing spikeRNN's `.mat` format, MATLAB 5, for its own code and `read_spikernn`."""

import io
import os
from pathlib import Path

import numpy as np
import scipy.io
from jaxtyping import Float64

from isotau.convert.rate import RateRNN
from isotau.convert.read_spikernn import CEILING, DT, NOISE_STD
from isotau.convert.storage import atomic

NAMES = {"sigmoid": "sigmoid", "relu": "clipped_relu", "softplus": "softplus"}
"""What spikeRNN calls the activations."""
TITLE = b"MATLAB 5.0 MAT-file, written by isotau"
"""In place of the date, so that the same network gives the same file."""
X0_STD = 0.01
"""Standard deviation of x at the start, in spikeRNN's code."""
MARGIN = 1e-3
"""How far a range of τ goes beyond the τ of a network, as a part of its width."""


def write_spikernn(
    net: RateRNN,
    path: str | os.PathLike[str],
    *,
    tau_range: tuple[float, float] | None = None,
) -> Path:
    """Write a network as spikeRNN's training would have, and return the path.

    `read_spikernn` gives it back with its weights and b_out rounded to float32, and τ
    to a relative 1e-9. Only what makes the network is written, none of the training's
    record (x, r, o, losses …).

    Args:
        net: the network.
        path: of the file, which appears whole or not.
        tau_range: the two `taus`, in seconds, between which every τ lies; slightly
            wider than the network's own range where None, and a single element for
            equal τ.

    Raises:
        ValueError: the network has what the format cannot hold (all of it is named), or
            a τ at or beyond the ends of `tau_range`.
    """
    _check(net)
    taus, taus_gaus = _place_tau(net.tau, tau_range)
    mixed = not net.dale.any()
    w = net.w_rec if mixed else np.abs(net.w_rec)
    signs = np.ones(net.n) if mixed else net.dale
    single = {
        "w": w,
        "m": np.diag(signs),
        "som_m": np.ones((net.n, net.n)),
        "w_in": net.w_in,
        "w_out": net.w_out,
        "b_out": net.b_out[:, None],
    }
    variables = {name: value.astype(np.float32) for name, value in single.items()} | {
        "taus": taus[None, :],
        "taus_gaus": taus_gaus[:, None],
        "N": np.array([[net.n]]),
        "som_N": np.array([[0]]),
        "exc": signs[:, None] > 0,
        "inh": signs[:, None] < 0,
        "activation": NAMES[net.activation],
    }
    content = io.BytesIO()
    scipy.io.savemat(content, variables, do_compression=True)
    with atomic(path) as stream:
        stream.write(TITLE.ljust(116))
        stream.write(content.getvalue()[116:])
    return Path(path)


def _check(net: RateRNN) -> None:
    """Refuse, all at once, what the format has no place for."""
    faults = []
    if net.activation not in NAMES:
        faults.append(
            f"activation: got {net.activation}, need one of {', '.join(NAMES)}"
        )
    usual = None if net.activation == "sigmoid" else CEILING
    if net.activation in NAMES and net.ceiling != usual:
        faults.append(f"ceiling: got {net.ceiling}, need {usual}")
    if net.x0.any() or net.x0_std != X0_STD:
        faults.append(f"x0: got a start other than N(0, {X0_STD}²)")
    if net.readout_bias.any():
        faults.append("readout_bias: got other than 0")
    if net.bias.any():
        faults.append("bias: got a drive other than 0")
    if net.noise_std != NOISE_STD:
        faults.append(f"noise_std: got {net.noise_std}, need {NOISE_STD}")
    if net.dt != DT:
        faults.append(f"dt: got {net.dt} s, need {DT}")
    if net.dale.any() and not net.dale.all():
        faults.append("dale: got mixed signs in some units only")
    if not net.dale.any() and not (net.w_rec < 0).any():
        faults.append("dale: got mixed signs and no negative weight")
    if faults:
        raise ValueError(
            f"network: got what spikeRNN's format cannot hold, need it without; "
            f"{'; '.join(faults)}; save it as .rate.npz"
        )


def _place_tau(
    tau: Float64[np.ndarray, " n"], tau_range: tuple[float, float] | None
) -> tuple[Float64[np.ndarray, " ends"], Float64[np.ndarray, " n"]]:
    """Return `taus` in steps, and taus_gaus: the logit of each τ's place between."""
    low, high = tau.min(), tau.max()
    if tau_range is None:
        if low == high:
            return np.array([low / DT]), np.zeros(tau.size)
        margin = MARGIN * (high - low)
        tau_range = (low - margin, high + margin)
    if not tau_range[0] < low <= high < tau_range[1]:
        raise ValueError(
            f"tau_range: got {tau_range[0]:g} to {tau_range[1]:g} s, need a range "
            f"around the network's {low:g} to {high:g} s; widen it"
        )
    place = (tau - tau_range[0]) / (tau_range[1] - tau_range[0])
    return np.array(tau_range) / DT, np.log(place) - np.log1p(-place)
