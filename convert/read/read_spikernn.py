"""Reading the `.mat` files of spikeRNN's training.

Writing spikeRNN's `.mat` format, MATLAB 5, for its own code and `read_spikernn`.
"""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.io
from jaxtyping import Float64

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.files import atomic
from isotau.convert.ground.matlab import read_variables
from isotau.convert.read.conventions import Convention, Conventions, Read, span, whose
from isotau.convert.records.rate import RateRNN

DT = 0.005
"""spikeRNN's step, in seconds; its τ are counted in such steps."""
NOISE_STD = 0.1
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
    values = _network(path)
    at = _Checked(str(path), values)
    n = at.units()
    columns = at.signs(n)
    w = at.array("w", (n, n))
    step = DT if dt is None else dt
    tau = at.tau(n) * step
    n_in, n_out = at.free("w_in", (n, None))[1], at.free("w_out", (None, n))[0]
    b_out = at.array("b_out", (n_out, 1)) if "b_out" in values else np.zeros(n_out)
    activation = at.activation()
    mixed = bool((w < 0).any())
    net = RateRNN(
        # Adding 0 turns the −0 of an absent inhibitory connection into 0.
        w_rec=w * columns * at.mask(n) + 0.0,
        w_in=at.array("w_in", (n, n_in)),
        w_out=at.array("w_out", (n_out, n)),
        bias=np.zeros(n),
        b_out=b_out.ravel(),
        tau=tau,
        dale=np.where(mixed, 0, columns).astype(np.int8),
        activation=activation,
        noise_std=NOISE_STD if noise_std is None else noise_std,
        dt=step,
        ceiling=None if activation == "sigmoid" else CEILING,
    )
    return Read(net, _conventions(net, dt, noise_std, mixed=mixed))


def _conventions(
    net: RateRNN, dt: float | None, noise_std: float | None, *, mixed: bool
) -> Conventions:
    """Return what was assumed of a network of spikeRNN."""
    cut = "" if net.ceiling is None else f", cut at {net.ceiling:g}"
    signs = "no, w has negative elements" if mixed else "yes, signs of m"
    return Conventions(
        family="spikeRNN .mat",
        items=(
            Convention("alpha", span(net.dt / net.tau), "file", "1 over τ in steps"),
            Convention("dt", f"{net.dt:g} s", whose(dt)),
            Convention("tau", span(net.tau, " s"), "file", "counted in steps of dt"),
            Convention("transposes", "none: w is post × pre", "default"),
            Convention("activation", net.activation + cut, "file"),
            Convention(
                "noise", f"{net.noise_std:g} per step, not scaled", whose(noise_std)
            ),
            Convention("Dale's law", signs, "file"),
            Convention("start", f"x = 0 ± {net.x0_std:g}", "default"),
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


class _Checked:
    """The variables of a file, each handed out only as what the network needs."""

    def __init__(self, path: str, values: Mapping[str, Any]) -> None:
        self.path = path
        self.values = values

    def fail(self, key: str, got: object, need: str) -> UnreadableFile:
        return UnreadableFile(f"{self.path}: {key}: got {got}, need {need}")

    def free(self, key: str, shape: tuple[int | None, ...]) -> tuple[int, ...]:
        """Return the variable's shape; None allows any length but 0."""
        got = self.values[key].shape
        fits = len(got) == len(shape) and all(
            have == want if want is not None else have > 0
            for have, want in zip(got, shape, strict=True)
        )
        if not fits:
            need = " × ".join("any" if k is None else str(k) for k in shape)
            raise self.fail(key, f"shape {got}", f"{need} as w has it")
        return got

    def array(self, key: str, shape: tuple[int | None, ...]) -> npt.NDArray[np.float64]:
        self.free(key, shape)
        if not np.isfinite(self.values[key]).all():
            raise self.fail(key, "NaN or infinity", "finite numbers")
        return np.asarray(self.values[key], dtype=np.float64)

    def units(self) -> int:
        shape = self.values["w"].shape
        if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
            raise self.fail("w", f"shape {shape}", "a square matrix, post × pre")
        n = shape[0]
        if "N" in self.values:
            stated = self.array("N", (1, 1)).item()
            if stated != n:
                raise self.fail("N", f"{stated:g}", f"{n}, the size of w")
        return n

    def signs(self, n: int) -> npt.NDArray[np.float64]:
        """Return the diagonal of m; exc and inh must agree with it."""
        m = self.array("m", (n, n))
        diagonal = np.diag(m).copy()
        if (np.abs(diagonal) != 1).any() or np.count_nonzero(m) != n:
            raise self.fail("m", "another matrix", "a diagonal of +1 and −1")
        for key, sign in (("exc", 1), ("inh", -1)):
            if key in self.values:
                told = self.array(key, (n, 1)).ravel() != 0
                wrong = np.flatnonzero(told != (diagonal == sign))
                if wrong.size:
                    unit = int(wrong[0])
                    raise self.fail(
                        key,
                        f"{bool(told[unit])} for unit {unit}",
                        f"agreement with m, which has {diagonal[unit]:+g}",
                    )
        return diagonal

    def mask(self, n: int) -> npt.NDArray[np.float64]:
        mask = self.array("som_m", (n, n))
        if not np.isin(mask, (0, 1)).all():
            raise self.fail("som_m", "other numbers", "0 and 1 only")
        return mask

    def tau(self, n: int) -> npt.NDArray[np.float64]:
        """Return τ of each unit in steps."""
        taus = self.array("taus", self.values["taus"].shape).ravel()
        if taus.size not in (1, 2) or not 1 <= taus[0] <= taus[-1] <= MAX_TAUS:
            raise self.fail(
                "taus", taus[:4], f"one number or two ascending, 1 to {MAX_TAUS} steps"
            )
        if taus.size == 1:
            return np.full(n, taus[0])
        if "taus_gaus" not in self.values:
            raise self.fail("taus_gaus", "nothing", f"{n} × 1, for taus has a range")
        fraction = 0.5 * (1 + np.tanh(0.5 * self.array("taus_gaus", (n, 1)).ravel()))
        return fraction * (taus[1] - taus[0]) + taus[0]

    def activation(self) -> str:
        name = str(self.values["activation"]).strip().lower()
        if name not in ACTIVATIONS:
            raise self.fail(
                "activation", repr(name), f"one of {', '.join(ACTIVATIONS)}"
            )
        return ACTIVATIONS[name]


def _network(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the variables that make the network.

    Raises:
        UnreadableFile: see `read_spikernn`.
    """
    values = read_variables(path, REQUIRED + OPTIONAL)
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
    return values


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
