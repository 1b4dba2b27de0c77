import numpy as np
import pytest

from isotau.convert.records.rate import RateRNN
from isotau.convert.training import truncate


def test_the_whole_rank_loses_nothing(rate_net: RateRNN) -> None:
    low = truncate(rate_net, 24)
    assert low.rank == 24 and not low.dale.any()
    assert low.w_rec == pytest.approx(rate_net.w_rec, abs=1e-12)
    assert np.array_equal(low.w_in, rate_net.w_in)


def test_what_is_lost_is_what_the_singular_values_say(rate_net: RateRNN) -> None:
    low = truncate(rate_net, 3)
    sizes = np.sqrt(np.linalg.eigvalsh(rate_net.w_rec.T @ rate_net.w_rec))[::-1]
    lost = np.linalg.norm(rate_net.w_rec - low.w_rec)
    assert lost == pytest.approx(np.linalg.norm(sizes[3:]))
    lengths = [np.linalg.norm(v, axis=0) for v in (low.m_vectors, low.n_vectors)]
    assert lengths[0] == pytest.approx(lengths[1])
    assert lengths[0] ** 2 / 24 == pytest.approx(sizes[:3])


def test_more_rank_than_units_is_refused(rate_net: RateRNN) -> None:
    with pytest.raises(ValueError, match="rank: got 25, need 1 to 24"):
        truncate(rate_net, 25)
