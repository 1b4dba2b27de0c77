"""Reading and writing the `.mat` files of spikeRNN's training."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.io
from jaxtyping import Float64

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.files import atomic
from isotau.convert.ground.matlab import read_variables
from isotau.convert.read.conventions import Convention, Read, conventions_of, whose
from isotau.convert.read.read_plain import Arrays
from isotau.convert.records.rate import RateRNN

DT = 0.005
"""spikeRNN's step, in seconds; its τ are counted in such steps."""
NOISE_STD = 0.1
# Names of variables, by what they are for.
REQUIRED = ("w", "m", "som_m", "w_in", "w_out", "taus", "activation")
OPTIONAL = ("taus_gaus", "b_out", "N", "exc", "inh")
"""Without b_out outputs have no constant part; taus_gaus is needed for two taus."""
TRAINING = (
    *("losses", "eval_perf_mean", "eval_loss_mean", "eval_os", "eval_labels"),
    *("tr", "som_N", "x", "r", "o", "u", "target"),
)
INITIAL = ("w0", "w_in0", "taus_gaus0", "x0", "r0")
LAMBDA_SEARCH = ("opt_scaling_factor", "all_perfs", "scaling_factors")
ALL = REQUIRED + OPTIONAL + TRAINING + INITIAL + LAMBDA_SEARCH
ACTIVATIONS = {
    "sigmoid": "sigmoid",
    "relu": "relu",
    "clipped_relu": "relu",
    "softplus": "softplus",
}
"""What spikeRNN calls an activation, and what isotau does."""
CEILING = 20.0
"""Where spikeRNN cuts relu and softplus, whatever a file calls them."""
MAX_TAUS = 1_000_000
"""Largest τ in steps; a damaged file may claim any."""
NAMES = {"sigmoid": "sigmoid", "relu": "clipped_relu", "softplus": "softplus"}
"""What spikeRNN calls the activations."""
TITLE = b"MATLAB 5.0 MAT-file, written by isotau"
"""In place of the date, so that the same network gives the same file."""
X0_STD = 0.01
"""Standard deviation of x at the start, in spikeRNN's code."""
MARGIN = 1e-3
"""How far a range of τ goes beyond the τ of a network, as a part of its width."""


def read_spikernn(
    path: str | os.PathLike[str],
    *,
    dt: float | None = None,
    noise_std: float | None = None,
) -> Read:
    """Return the rate network in a `.mat` file that spikeRNN's training wrote.

    W = (w m) ∘ som_m; τ = 5 ms · (σ(taus_gaus)(taus_1 − taus_0) + taus_0), or
    5 ms · taus for a single element; Dale signs from the diagonal of m, unless w has
    negative elements, which training without Dale's law leaves; relu and softplus are
    cut at 20. x starts at N(0, 0.01²).
    Source: Kim, Li & Sejnowski 2019, doi:10.1073/pnas.1905926116.

    Args:
        path: of the file.
        dt: step in seconds, which is also the unit of the file's τ; spikeRNN's constant
            of 5 ms, which files do not state, if None.
        noise_std: standard deviation of the noise added to x in every step; spikeRNN's
            constant of 0.1 if None.

    Raises:
        UnreadableFile: no MATLAB 5 or 7.3 file, damaged, too large, a variable that is
            missing or is not what it has to be.
    """
    at, activation = _variables(path)
    n = _units(at)
    columns = _signs(at, n)
    w = at.take("w", (n, n), "post × pre")
    step = DT if dt is None else dt
    w_out = at.take("w_out", (None, n), "output × unit")
    b_out = np.zeros(len(w_out))
    if "b_out" in at:
        b_out = at.take("b_out", (len(w_out), 1), "output × 1").ravel()
    # Under Dale's law w is kept positive, its signs are those of m.
    mixed = bool((w < 0).any())
    net = RateRNN(
        # Masked after the signs, as spikeRNN multiplies (w m) ∘ som_m.
        # Adding 0 turns the −0 of an absent inhibitory connection into 0.
        w_rec=w * columns * _mask(at, n) + 0.0,
        w_in=at.take("w_in", (n, None), "post × input"),
        w_out=w_out,
        bias=np.zeros(n),
        b_out=b_out,
        tau=_tau(at, n) * step,
        dale=np.where(mixed, 0, columns).astype(np.int8),
        activation=activation,
        noise_std=NOISE_STD if noise_std is None else noise_std,
        dt=step,
        ceiling=None if activation == "sigmoid" else CEILING,
    )
    cut = "" if net.ceiling is None else f", cut at {net.ceiling:g}"
    signs = "no, w has negative elements" if mixed else "yes, signs of m"
    return Read(
        net,
        conventions_of(
            net,
            "spikeRNN .mat",
            sources={
                "alpha": ("file", "1 over τ in steps"),
                "dt": (whose(dt),),
                "tau": ("file", "counted in steps of dt"),
                "transposes": ("default",),
                "noise": (whose(noise_std),),
            },
            values={
                "transposes": "none: w is post × pre",
                "activation": net.activation + cut,
                "noise": f"{net.noise_std:g} per step, not scaled",
            },
            more=(
                Convention("Dale's law", signs, "file"),
                Convention("start", f"x = 0 ± {net.x0_std:g}", "default"),
            ),
        ),
    )


def read_spikernn_variables(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return every variable of the format that a file has, under its own name.

    Beside the network these are the last training trial (x, r, o, u, target; o may be
    0.02 to 0.3 off, as the weights were saved after one more update), the course of
    training, the initial values (…0) and the authors' λ search: `opt_scaling_factor`
    (1/λ), `all_perfs`, `scaling_factors`. Arrays have MATLAB's shape.

    Raises:
        UnreadableFile: as `read_spikernn`, but for what it says of the network.
    """
    return read_variables(path, ALL)


def _variables(path: str | os.PathLike[str]) -> tuple[Arrays, str]:
    """Return the variables that make the network, and its activation.

    Raises:
        UnreadableFile: a variable is missing or of another type, or no activation.
    """
    values = read_variables(path, REQUIRED + OPTIONAL)
    # Text where numbers belong, or numbers as text, is damage or another kind of file.
    for key, value in values.items():
        if isinstance(value, str) != (key == "activation"):
            raise UnreadableFile(
                f"{path}: {key}: got {'text' if isinstance(value, str) else 'numbers'},"
                f" need {'text' if key == 'activation' else 'numbers'}"
            )
    missing = [key for key in REQUIRED if key not in values]
    if missing:
        raise UnreadableFile(
            f"{path}: got a .mat file without {', '.join(missing)}, need all of "
            f"{', '.join(REQUIRED)}; is it from spikeRNN's training?"
        )
    name = str(values.pop("activation")).strip().lower()
    at = Arrays(str(path), values)
    if name not in ACTIVATIONS:
        raise at.fail("activation", repr(name), f"one of {', '.join(ACTIVATIONS)}")
    return at, ACTIVATIONS[name]


def _units(at: Arrays) -> int:
    """Return the number of units."""
    shape = at.shape("w")
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
        raise at.fail("w", f"shape {shape}", "a square matrix, post × pre")
    if "N" in at:
        stated = at.take("N", (1, 1), "one number").item()
        if stated != shape[0]:
            raise at.fail("N", f"{stated:g}", f"{shape[0]}, the size of w")
    return shape[0]


def _signs(at: Arrays, n: int) -> npt.NDArray[np.float64]:
    """Return the diagonal of m; exc and inh must agree with it."""
    # m turns the columns of a positive w: column j gets the sign of unit j.
    m = at.take("m", (n, n), "unit × unit")
    diagonal = np.diag(m).copy()
    if (np.abs(diagonal) != 1).any() or np.count_nonzero(m) != n:
        raise at.fail("m", "another matrix", "a diagonal of +1 and −1")
    for key, sign in (("exc", 1), ("inh", -1)):
        if key not in at:
            continue
        listed = at.take(key, (n, 1), "unit × 1").ravel() != 0
        wrong = np.flatnonzero(listed != (diagonal == sign))
        if wrong.size:
            unit = int(wrong[0])
            raise at.fail(
                key,
                f"{bool(listed[unit])} for unit {unit}",
                f"agreement with m, which has {diagonal[unit]:+g}",
            )
    return diagonal


def _mask(at: Arrays, n: int) -> npt.NDArray[np.float64]:
    """Return which weights are there."""
    mask = at.take("som_m", (n, n), "post × pre")
    if not np.isin(mask, (0, 1)).all():
        raise at.fail("som_m", "other numbers", "0 and 1 only")
    return mask


def _tau(at: Arrays, n: int) -> npt.NDArray[np.float64]:
    """Return τ of each unit in steps (R11)."""
    taus = at.take("taus", at.shape("taus"), "steps").ravel()
    if taus.size not in (1, 2) or not 1 <= taus[0] <= taus[-1] <= MAX_TAUS:
        need = f"one number or two ascending, 1 to {MAX_TAUS} steps"
        raise at.fail("taus", taus[:4], need)
    # One τ for all units is stored alone.
    if taus.size == 1:
        return np.full(n, taus[0])
    if "taus_gaus" not in at:
        raise at.fail("taus_gaus", "nothing", f"{n} × 1, for taus has a range")
    # The logistic function by tanh, which does not overflow.
    share = 0.5 * (1 + np.tanh(0.5 * at.take("taus_gaus", (n, 1), "unit × 1").ravel()))
    return share * (taus[1] - taus[0]) + taus[0]


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
    # The inverse of reading: signs go into m, and no weight is masked.
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
    # To memory first: scipy writes the date into the header, which would have the same
    # network give another file every day.
    content = io.BytesIO()
    scipy.io.savemat(content, variables, do_compression=True)
    with atomic(path) as stream:
        stream.write(TITLE.ljust(116))
        stream.write(content.getvalue()[116:])
    return Path(path)


def _check(net: RateRNN) -> None:
    """Refuse, all at once, what the format has no place for."""
    # The code that reads such files has its noise, step and start as constants.
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
        # At the ends the logit is infinite.
        margin = MARGIN * (high - low)
        tau_range = (low - margin, high + margin)
    if not tau_range[0] < low <= high < tau_range[1]:
        raise ValueError(
            f"tau_range: got {tau_range[0]:g} to {tau_range[1]:g} s, need a range "
            f"around the network's {low:g} to {high:g} s; widen it"
        )
    # The inverse of (R11).
    place = (tau - tau_range[0]) / (tau_range[1] - tau_range[0])
    return np.array(tau_range) / DT, np.log(place) - np.log1p(-place)
