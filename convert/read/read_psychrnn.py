"""Reading the `.npz` files of PsychRNN's `save`."""

import math
import os

import numpy as np
import numpy.typing as npt
from typing_extensions import Unpack

from isotau.convert.read.conventions import (
    Convention,
    Conventions,
    Read,
    StateAssumptions,
    check_assumptions,
    settle_noise,
    settle_timing,
    whose,
)
from isotau.convert.read.read_plain import Arrays, read_arrays

ALPHA = 0.1
DT = 0.010
"""Step of PsychRNN's tutorials, in seconds; τ = 100 ms."""
LSTM = ("W_f", "W_i", "W_c", "W_o", "init_hidden")
Matrix = npt.NDArray[np.float64]


class PsychRNNAssumptions(StateAssumptions, total=False):
    """What a caller may say of a file of PsychRNN.

    Attributes:
        rec_noise: PsychRNN's parameter of that name, in place of `noise_std`.
    """

    rec_noise: float | None


def read_psychrnn(
    path: str | os.PathLike[str], **assumed: Unpack[PsychRNNAssumptions]
) -> Read:
    """Return the network that PsychRNN's `Basic.save` (or `BasicScan.save`) wrote.

    x ← (1 − alpha) x + alpha (W_rec φ(x) + W_in u + b_rec) + √(2 alpha) rec_noise·ξ,
    o = W_out φ(x) + b_out from x = init_state. Weights are masked by their
    connectivity. With a dale_ratio other than 0 they are |W_in|, |W_rec| Dale_rec and
    |W_out| Dale_out, else as they stand; both hold for saved weights, whether they are
    the effective ones or, in old files, the raw ones. What the optimizer left, such as
    W_rec/Adam, is ignored.
    Source: Ehrlich et al. 2021, doi:10.1523/ENEURO.0427-20.2020, and their code.

    Args:
        path: of the file.
        assumed: alpha (0.1 where fewer than two of alpha, dt and tau are given), dt
            (10 ms where not given), tau (100 ms), noise_std (0 if None) or rec_noise,
            activation, PsychRNN's transfer_function (relu if None), and names to
            ignore.

    Raises:
        UnreadableFile: no such file, damaged, an LSTM, an array that is missing,
            unknown, or not what it has to be.
    """
    check_assumptions(assumed, PsychRNNAssumptions)
    # Without Dale's law PsychRNN saves None, which numpy pickles: it is left unread.
    at = read_arrays(path, skip_objects=("dale_ratio",))
    if any(name in at for name in LSTM):
        raise at.fail("W_f", "an LSTM", "PsychRNN's Basic, which has no gates")
    n = at.take("W_rec", (None, None), "post × pre").shape[0]
    w = {
        "input": at.take("W_in", (n, None), "post × input"),
        "rec": at.take("W_rec", (n, n), "post × pre"),
        "output": at.take("W_out", (None, n), "output × unit"),
    }
    # Saved weights may be the raw ones: masks and Dale's law, applied twice, change
    # nothing.
    masked = [part for part in w if _mask(at, part, w)]
    dale, signs = _signs(at, n, w)
    timing = settle_timing(assumed, usual_alpha=ALPHA, usual_dt=DT)
    noise, noise_item = _noise(assumed, timing.dt / timing.tau)
    activation = assumed.get("activation")
    net = at.network(
        timing,
        w_rec=w["rec"],
        w_in=w["input"],
        w_out=w["output"],
        bias=at.take("b_rec", (n,), "unit"),
        b_out=at.take("b_out", (len(w["output"]),), "output"),
        dale=dale.astype(np.int8),
        activation=activation or "relu",
        noise_std=noise,
        x0=at.vector("init_state", n),
    )
    items = (
        *timing.items,
        Convention("transposes", "none: all weights are post × pre", "default"),
        Convention("activation", net.activation, whose(activation)),
        noise_item,
        signs,
        Convention("masks", ", ".join(masked) or "none", "file"),
        Convention("start", "x = init_state", "file")
        if "init_state" in at
        else Convention("start", "x = 0", "default"),
    )
    # The optimizer's slots, such as W_rec/Adam, carry the name of their weights.
    slots = [key for key in at.values if key.partition("/")[0] in at.taken]
    ignored = at.unused(
        assumed.get("ignore") or (), ("Dale_rec", "Dale_out", "dale_ratio", *slots)
    )
    return Read(net, Conventions(family="PsychRNN .npz", items=items, ignored=ignored))


def _mask(at: Arrays, part: str, w: dict[str, Matrix]) -> bool:
    """Multiply weights by their connectivity, in place; return whether there is one."""
    # Versions of PsychRNN differ in the capital.
    for key in (f"{part}_connectivity", f"{part}_Connectivity"):
        if key in at:
            w[part] = w[part] * at.take(key, w[part].shape, "as the weights")
            return True
    return False


def _signs(at: Arrays, n: int, w: dict[str, Matrix]) -> tuple[Matrix, Convention]:
    """Apply Dale's law to the weights, in place; return signs, and what was assumed."""
    # The ratio decides; without it, as None is not stored, a negative sign does.
    signs = np.ones(n)
    if "Dale_rec" in at:
        signs = _diagonal(at, "Dale_rec", n, (-1, 1))
    if "dale_ratio" in at:
        applies, note = at.number("dale_ratio") != 0, "dale_ratio"
    else:
        applies, note = bool((signs < 0).any()), "dale_ratio not stored as a number"
    if not applies:
        if (signs < 0).any():
            raise at.fail(
                "Dale_rec", "inhibitory units", "none, as dale_ratio is 0; correct one"
            )
        return np.zeros(n), Convention("Dale's law", "no", "file", note)
    if "Dale_rec" not in at:
        raise at.fail("Dale_rec", "nothing", "the signs of units, as dale_ratio is set")
    # Inhibitory units have no output in PsychRNN, hence 0 and 1.
    out = _diagonal(at, "Dale_out", n, (0, 1))
    w["input"] = np.abs(w["input"])
    # Adding 0 turns the −0 of an absent connection into 0.
    w["rec"] = np.abs(w["rec"]) * signs + 0.0
    w["output"] = np.abs(w["output"]) * out
    return signs, Convention("Dale's law", "yes, |W| times the signs", "file", note)


def _diagonal(at: Arrays, key: str, n: int, allowed: tuple[int, int]) -> Matrix:
    """Return the diagonal of a matrix that has nothing else."""
    matrix = at.take(key, (n, n), "unit × unit")
    diagonal = np.diag(matrix).copy()
    if not np.isin(diagonal, allowed).all() or (matrix != np.diag(diagonal)).any():
        raise at.fail(
            key, "another matrix", f"a diagonal of {allowed[0]} and {allowed[1]}"
        )
    return diagonal


def _noise(assumed: PsychRNNAssumptions, alpha: float) -> tuple[float, Convention]:
    """Return the standard deviation per step, from either argument."""
    noise_std, rec_noise = assumed.get("noise_std"), assumed.get("rec_noise")
    if noise_std is not None and rec_noise is not None:
        raise ValueError(
            f"rec_noise: got {rec_noise:g} beside noise_std = {noise_std:g}, need one; "
            f"noise_std is √(2 alpha) rec_noise"
        )
    if rec_noise is None:
        return settle_noise(assumed, 0.0)
    std = math.sqrt(2 * alpha) * rec_noise  # (R10)
    note = f"√(2 alpha) times rec_noise = {rec_noise:g}"
    return std, Convention("noise", f"{std:g} per step", "argument", note)
