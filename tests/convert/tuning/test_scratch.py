"""Random networks to begin with."""

import numpy as np
import pytest

from isotau.convert.records.spikes import mean_rate
from isotau.convert.records.storage import same
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.tuning.scratch import from_scratch


def test_it_fires_moderately_without_input():
    net = from_scratch(100, 1, 1, seed=5)
    run = simulate_lif(net, np.zeros((500, 4, 1)), seed=0)
    assert 2 < mean_rate(run.spikes) < 60


def test_signs_are_dales_and_balanced():
    net = from_scratch(200, 1, 1, p_inh=0.2, p_rec=0.5, seed=1)
    assert (net.w_rec[:, :160] >= 0).all() and (net.w_rec[:, 160:] <= 0).all()
    rows = net.w_rec.sum(axis=1) / np.abs(net.w_rec).sum(axis=1)
    assert abs(rows.mean()) < 0.05
    assert 0.45 < (net.w_rec != 0).mean() < 0.55


def test_mixed_signs_on_request():
    net = from_scratch(50, 1, 1, p_inh=None, seed=1)
    assert (net.w_rec > 0).any(axis=0).mean() > 0.9
    assert (net.w_rec < 0).any(axis=0).mean() > 0.9


def test_a_seed_is_a_network():
    assert same(from_scratch(10, 2, 1, seed=4), from_scratch(10, 2, 1, seed=4))
    assert not same(from_scratch(10, 2, 1, seed=4), from_scratch(10, 2, 1, seed=5))


def test_tau_syn_lies_in_its_range():
    net = from_scratch(300, 1, 1, tau_syn=(0.02, 0.05))
    assert 0.02 <= net.tau_syn.min() < 0.021 and 0.049 < net.tau_syn.max() <= 0.05


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"tau_syn": (0.05, 0.02)}, "tau_syn: got .* need the shorter one first"),
        ({"p_rec": 1.2}, "p_rec: got 1.2, need 0 to 1"),
        ({"p_inh": -0.1}, "p_inh: got -0.1, need 0 to 1"),
    ],
)
def test_numbers_out_of_range_are_named(changes, text):
    with pytest.raises(ValueError, match=text):
        from_scratch(10, 1, 1, **changes)
