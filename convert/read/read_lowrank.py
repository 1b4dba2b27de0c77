"""Reading the state dicts of the low-rank RNN papers, low-rank and full-rank."""

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
from isotau.convert.read.read_plain import Arrays
from isotau.convert.read.read_torch_rnn import Source, read_state

ALPHA = 0.2
DT = 0.020
"""Step of the papers, in seconds; τ = 100 ms."""
NOISE_STD = 0.05
KNOWN = ("rec_noise",)
"""A relic of older files, which the code that writes them drops on loading."""
GAUSSIAN = ("gaussian_basis", "m_weights", "unitm")
"""Parameters of the same authors' mixture-of-Gaussians networks."""
AGREEMENT = 1e-4
"""How far a stored product may be from its factors, relative to its largest element."""
Matrix = npt.NDArray[np.float64]


class LowRankAssumptions(StateAssumptions, total=False):
    """What a caller may say of a state dict of the low-rank papers.

    Attributes:
        scaled: whether full-rank weights and output are divided by N, as one class of
            the family does.
    """

    scaled: bool | None


def read_lowrank(source: Source, **assumed: Unpack[LowRankAssumptions]) -> Read:
    """Return the network of a low-rank or full-rank state dict of this family.

    h ← h + noise_std·ξ + alpha (−h + m (nᵀ r)/N + u (wi ∘ si)), r = φ(h + b), and
    o = φ(h) (wo ∘ so)/N after the update; full rank: r W_recᵀ in place of m (nᵀ r)/N,
    and no 1/N in o. So x = h + b, with bias b, readout_bias −b and x0 = h0 + b.
    Source: Dubreuil, Valente et al. 2022, doi:10.1038/s41593-022-01088-4.

    Args:
        source: a `.pt` file, a module, or its state dict with wi (input × unit), si, m
            and n (unit × rank) or wrec (post × pre), b, wo (unit × output), so and h0;
            si, so, b and h0 may be absent, and wi_full and wo_full stand for products.
        assumed: alpha (0.2 where fewer than two of alpha, dt and tau are given), dt
            (20 ms where not given), tau (100 ms), noise_std, which is not scaled by
            alpha (0.05 if None), activation (tanh if None), scaled (False if None) and
            names to ignore.

    Raises:
        UnreadableFile: damaged, too large, a parameter that is missing, unknown, or not
            what it has to be, or products that contradict their factors.
    """
    check_assumptions(assumed, LowRankAssumptions)
    at, scaled = read_state(source), assumed.get("scaled")
    # Their wi, m, n and wo are means, which would be read as a network without spread.
    for name in GAUSSIAN:
        if name in at:
            raise at.fail(
                name,
                "the statistics of a mixture of Gaussians",
                "one network; save wi, m, n, wo and h0 of a sample of it",
            )
    # Either factor tells; the other is then asked for by name.
    low = "m" in at or "n" in at
    if low and scaled is False:
        raise at.fail("scaled", "False", "True: low-rank weights are divided by N")
    key = "m" if low else "wrec"
    shape = at.shape(key)
    if not shape:
        raise at.fail(key, "one number", "a matrix with a row per unit")
    n = shape[0]
    # (R9); one full-rank class of the family divides as well, and no file says so.
    divisor = float(n) if low or scaled else 1.0
    factors: dict[str, Matrix] = {}
    if low:
        w_rec, factors = _recurrence(at, n, divisor)
    else:
        w_rec = at.take("wrec", (n, n), "post × pre") / divisor
    # The family stores wi as channel × unit and wo as unit × channel.
    w_in, turned_in = _scaled(at, "wi", "si", n, units_last=True)
    w_out, turned_out = _scaled(at, "wo", "so", n, units_last=False)
    b, h0 = at.vector("b", n), at.vector("h0", n)
    timing = settle_timing(assumed, usual_alpha=ALPHA, usual_dt=DT)
    noise, noise_item = settle_noise(assumed, NOISE_STD, "per step, not scaled")
    activation = assumed.get("activation")
    # x = h + b takes the bias into the state: φ recurs from x and is read from x − b.
    net = at.network(
        timing,
        w_rec=w_rec,
        w_in=w_in.T,
        w_out=w_out / divisor,
        bias=b,
        b_out=np.zeros(len(w_out)),
        activation=activation or "tanh",
        noise_std=noise,
        x0=h0 + b,
        readout_bias=-b,
        **factors,
    )
    items = (
        *timing.items,
        Convention("transposes", f"{turned_in}; {turned_out}", "file", "by shape"),
        Convention("activation", net.activation, whose(activation)),
        noise_item,
        Convention("scale", *_scale(low, scaled)),
        Convention("bias", *_bias(at, b)),
        Convention("start", *_start(at)),
    )
    family = f"low-rank state dict, rank {net.rank}" if low else "full-rank state dict"
    ignored = at.unused(assumed.get("ignore") or (), KNOWN)
    return Read(net, Conventions(family=family, items=items, ignored=ignored))


def _recurrence(at: Arrays, n: int, divisor: float) -> tuple[Matrix, dict[str, Matrix]]:
    """Return m nᵀ/N and its factors; a stored wrec has to agree."""
    m = at.take("m", (n, None), "unit × rank")
    vectors = at.take("n", m.shape, "unit × rank")
    w_rec = m @ vectors.T / divisor
    if "wrec" in at:
        _agree(at, "wrec", at.take("wrec", (n, n), "post × pre"), w_rec, "m nᵀ/N")
    return w_rec, {"m_vectors": m, "n_vectors": vectors}


def _scaled(
    at: Arrays, key: str, scale: str, n: int, *, units_last: bool
) -> tuple[Matrix, str]:
    """Return channel × unit weights times their scales, and how they lay."""
    # Some versions keep the product beside its factors, others in their place.
    product = f"{key}_full"
    if key not in at and product in at:
        return _oriented(at, product, n, units_last)
    weights, layout = _oriented(at, key, n, units_last)
    if scale in at:
        factor = at.take(scale, (len(weights),), "channel").reshape(-1, 1)
    else:
        factor = np.ones((len(weights), 1))
        layout += f", {scale} absent: 1"
    if product in at:
        stored, _ = _oriented(at, product, n, units_last)
        _agree(at, product, stored, weights * factor, f"{key} times {scale}")
    return weights * factor, layout


def _oriented(at: Arrays, key: str, n: int, units_last: bool) -> tuple[Matrix, str]:
    """Return weights as channel × unit; which axis has n elements tells, or the usual.

    A vector is a single channel.
    """
    shape = at.shape(key)
    if not shape:
        raise at.fail(key, "one number", "channel × unit")
    if len(shape) == 1:
        return at.take(key, (n,), "unit").reshape(1, n), f"{key} one channel"
    # Square weights tell nothing: then the family's usual layout holds.
    last = units_last if shape == (n, n) else shape[-1] == n
    if last:
        return at.take(key, (None, n), "channel × unit"), f"{key} channel × unit"
    return at.take(key, (n, None), "unit × channel").T, f"{key} unit × channel"


def _agree(at: Arrays, key: str, stored: Matrix, product: Matrix, name: str) -> None:
    """Refuse a stored product that is not that of its factors."""
    if stored.shape != product.shape:
        raise at.fail(key, f"shape {stored.shape}", f"{product.shape}, that of {name}")
    error = float(np.abs(stored - product).max())
    # Products are stored in float32; what training left stale is far further off.
    if error > AGREEMENT * float(np.abs(product).max()):
        need = "agreement; remove what is stale"
        raise at.fail(key, f"values {error:.3g} off {name}", need)


def _scale(low: bool, scaled: bool | None) -> tuple[str, str]:
    """Return what the weights are divided by, and who said so."""
    if low:
        return "recurrence and output divided by N", "default"
    division = "divided by N" if scaled else "not divided by N"
    return f"recurrence and output {division}", whose(scaled)


def _start(at: Arrays) -> tuple[str, ...]:
    """Return from which h networks start, and whose word that is."""
    if "h0" in at:
        return "h = h0", "file"
    return "h = 0", "default", "no h0 in the file"


def _bias(at: Arrays, b: Matrix) -> tuple[str, str, str]:
    """Return where b acts, and how the published code differs."""
    if "b" not in at:
        return "b = 0", "default", "not in the file"
    if not b.any():  # then both orders of adding it are the same
        return "b = 0", "file", ""
    return (
        "r = φ(h + b), o from φ(h)",
        "file",
        "from the first step on, where the published code recurs from φ(h0)",
    )
