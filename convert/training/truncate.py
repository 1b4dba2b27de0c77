"""Low-rank networks from full ones, as a start for training."""

import dataclasses

import numpy as np

from isotau.convert import validation
from isotau.convert.rate import RateRNN


def truncate(net: RateRNN, rank: int) -> RateRNN:
    """Return the network with the best approximation of its weights of that rank.

    W ≈ m nᵀ/N with m = √N U √S and n = √N V √S from the leading singular triplets of
    W = U S Vᵀ, so that both have vectors of equal length. Dale's law is given up.
    Source: Dubreuil et al. 2022, doi:10.1038/s41593-022-01088-4, whose low-rank
    networks for harder tasks start so from full ones.

    Raises:
        ValueError: the rank is more than the network has units.
    """
    rank = validation.whole("rank", rank, 1, net.n)
    left, sizes, right = np.linalg.svd(net.w_rec)
    scale = np.sqrt(net.n * sizes[:rank])
    m, n = left[:, :rank] * scale, right[:rank].T * scale
    return dataclasses.replace(
        net,
        w_rec=m @ n.T / net.n,
        dale=np.zeros(net.n, dtype=np.int8),
        m_vectors=m,
        n_vectors=n,
    )
