"""`Factors`: the low-rank part of a network, W = m nᵀ/N, in a canonical form."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.rate import RateRNN


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Factors:
    """Vectors m and n with m nᵀ/N equal to a network's recurrent weights, or near them.

    Mastrogiuseppe & Ostojic 2018, doi:10.1016/j.neuron.2018.07.003.

    Attributes:
        m_vectors: unit × rank, the directions that recurrence drives.
        n_vectors: unit × rank, the directions that it listens to.
        energy: fraction of the squared weights, Σ w², that m nᵀ/N keeps.
        singular_values: of the recurrent weights, largest first; those of the factors
            alone where the network is made of them.
    """

    m_vectors: Float64[np.ndarray, "n rank"]
    n_vectors: Float64[np.ndarray, "n rank"]
    energy: float
    singular_values: Float64[np.ndarray, " k"]

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        n = validation.length("m_vectors", self.m_vectors)
        rank = validation.length("m_vectors", self.m_vectors, axis=1)
        count = validation.length("singular_values", self.singular_values, ndim=1)
        fields: dict[str, Any] = {
            name: validation.floats(name, getattr(self, name), (n, rank), "unit × rank")
            for name in ("m_vectors", "n_vectors")
        }
        fields["energy"] = validation.number("energy", self.energy, minimum=0)
        fields["singular_values"] = validation.floats(
            "singular_values", self.singular_values, (count,), "value", minimum=0
        )
        validation.freeze(self, fields)

    @property
    def n(self) -> int:
        """Number of units."""
        return self.m_vectors.shape[0]

    @property
    def rank(self) -> int:
        """Number of modes."""
        return self.m_vectors.shape[1]


def factors(
    net: RateRNN, rank: int | None = None, *, canonical: bool = True
) -> Factors:
    """Return the factors of a network: its own, or the leading ones of its weights.

    Canonical form, from the singular value decomposition W = U S Vᵀ: m = √N U and
    n = √N V S. So the m are orthogonal with mean square 1, the modes are sorted by
    singular value, and of m_r and −m_r the one is taken that has the larger sum of
    cubes. Modes of (nearly) the same singular value have no order of their own: see
    `align` to compare two networks.

    Args:
        net: the network.
        rank: modes to keep; None for all those of the network's own factors.
        canonical: False for the network's own factors as they are.

    Raises:
        ValueError: no rank for a network without factors, more modes than there are, or
            own factors asked of a network that has none or for another rank.
    """
    n = net.n
    if rank is None and not net.rank:
        raise ValueError(
            f"rank: got None for a network without factors, need 1 to {n}; look at the "
            "singular values of w_rec"
        )
    rank = validation.whole("rank", net.rank if rank is None else rank, 1, n)
    if not canonical:
        if rank != net.rank:
            raise ValueError(
                f"canonical: got False with rank {rank} for a network of {net.rank} "
                "own factors, need that rank; leave it True"
            )
        values = _decompose(net)[1]
        return Factors(
            m_vectors=net.m_vectors,
            n_vectors=net.n_vectors,
            energy=1.0,
            singular_values=values,
        )
    # (K1)
    left, values, right = _decompose(net)
    if rank > values.size:
        raise ValueError(
            f"rank: got {rank}, need at most the {values.size} of the network's factors"
        )
    left, right = left[:, :rank], right[:, :rank]
    # Either sign of a singular vector is right: the cubes choose one for good, also
    # where entries are many and symmetric.
    sign = np.where((left**3).sum(axis=0) < 0, -1.0, 1.0)
    power = float((values**2).sum())
    return Factors(
        m_vectors=np.sqrt(n) * left * sign,
        n_vectors=np.sqrt(n) * right * values[:rank] * sign,
        # (K2)
        energy=float((values[:rank] ** 2).sum()) / power if power > 0 else 1.0,
        singular_values=values,
    )


def align(some: Factors, onto: Factors) -> Factors:
    """Return the same m nᵀ/N in the basis whose m lie nearest those of `onto`.

    m Q and n Q with the orthogonal Q that minimizes ‖m Q − m_onto‖ (Procrustes), so
    that κ of two networks, or of modes whose singular values are close, compare.

    Raises:
        ValueError: factors of another shape.
    """
    if some.m_vectors.shape != onto.m_vectors.shape:
        raise ValueError(
            f"onto: got factors of shape {onto.m_vectors.shape}, need "
            f"{some.m_vectors.shape} (unit × rank)"
        )
    left, _, right = np.linalg.svd(some.m_vectors.T @ onto.m_vectors)
    turn = left @ right  # (K3)
    return Factors(
        m_vectors=some.m_vectors @ turn,
        n_vectors=some.n_vectors @ turn,
        energy=some.energy,
        singular_values=some.singular_values,
    )


def _decompose(net: RateRNN) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return U, S, V of the recurrent weights, by way of the factors if there are."""
    if not net.rank:
        left, values, right = np.linalg.svd(net.w_rec)
        return left, values, right.T
    q_m, r_m = np.linalg.qr(net.m_vectors)
    q_n, r_n = np.linalg.qr(net.n_vectors)
    left, values, right = np.linalg.svd(r_m @ r_n.T / net.n)
    return q_m @ left, values, q_n @ right.T
