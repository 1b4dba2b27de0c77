"""The closed form between events against matrix exponentials and against scanning."""

import numpy as np
import pytest
from scipy.linalg import expm

from isotau.convert.tuning.methods.eventprop_kernels import (
    EventNeurons,
    constants_of,
    crossing,
    factors,
)

DT = 1e-3
PAIRS = {
    "slow synapse": (0.01, 0.03),
    "slow membrane": (0.03, 0.004),
    "equal": (0.01, 0.01),
    "nearly equal": (0.01, 0.01 * (1 + 1e-12)),
    "no synaptic memory": (0.01, DT / 50),
    "no membrane memory": (DT / 50, 0.01),
    "far below dt": (0.02, DT / 5000),
}


def neuron(tau_mem, tau_syn):
    tau_mem, tau_syn = np.array([tau_mem]), np.array([tau_syn])
    anything = np.zeros(1)
    net = EventNeurons(
        w=np.zeros((1, 1)),
        threshold=anything,
        reset=anything,
        tau_mem=tau_mem,
        tau_syn=tau_syn,
        hold=anything,
        tau_out=anything,
        slow=1 / np.maximum(tau_mem, tau_syn),
        gap=np.maximum(abs(1 / tau_mem - 1 / tau_syn), 1e-15 / tau_mem),
        leads=tau_mem >= tau_syn,
        dt=DT,
    )
    return constants_of(net, 0)


@pytest.mark.parametrize("taus", PAIRS.values(), ids=PAIRS)
def test_decays_are_a_matrix_exponential(taus):
    tau_mem, tau_syn = taus
    matrix = np.array([[-1 / tau_mem, 1 / tau_mem], [0, -1 / tau_syn]])
    for h in (0.0, 1e-9, 1e-4, DT):
        em, es, k = factors(neuron(*taus), h)
        np.testing.assert_allclose(
            [[em, k], [0, es]], expm(matrix * h), rtol=1e-11, atol=1e-14
        )


def course(taus, u, i, at):
    """u at some times, from the textbook's two exponentials."""
    tau_mem, tau_syn = taus
    part = i * tau_syn / (tau_syn - tau_mem)
    return (u - part) * np.exp(-at / tau_mem) + part * np.exp(-at / tau_syn)


@pytest.mark.parametrize(
    "taus", [(0.01, 0.03), (0.03, 0.004), (4e-4, 3e-4), (0.01, DT / 50)]
)
def test_the_first_crossing_is_found_wherever_it_is(taus):
    """Also where u is below threshold at both ends."""
    rng, found = np.random.default_rng(0), {"above": 0, "between": 0, "never": 0}
    own, threshold = neuron(*taus), 0.02
    at = np.linspace(0, DT, 20001)
    for _ in range(600):
        u = threshold - 10 ** rng.uniform(-5, -2)
        i = 10 ** rng.uniform(-2, 0.5) * (rng.random() < 0.9)
        em, es, k = factors(own, DT)
        got = crossing(own, threshold, u, i, DT, u * em + i * k, i * es, DT)
        above = course(taus, u, i, at) > threshold
        if not above.any():
            found["never"] += 1
            assert got == -1
            continue
        first = np.argmax(above)
        assert at[first - 1] - 1e-12 <= got <= at[first] + 1e-12
        assert course(taus, u, i, got) == pytest.approx(threshold, abs=1e-12)
        found["above" if above[-1] else "between"] += 1
    assert found["above"] > 20 and found["never"] > 20
    assert found["between"] > 20 or min(taus) > DT


def test_a_potential_that_falls_first_crosses_later():
    """The threshold lies below rest: u comes back to it once inhibition is gone."""
    own = neuron(0.002, 0.01)
    taus, threshold = (0.002, 0.01), -0.5
    u, i = -0.52, -3.0
    em, es, k = factors(own, 0.05)
    got = crossing(own, threshold, u, i, 0.05, u * em + i * k, i * es, DT)
    fine = np.linspace(0, 0.05, 100001)
    path = course(taus, u, i, fine)
    assert path[100] < u
    assert got == pytest.approx(fine[np.argmax(path > threshold)], abs=1e-6)


def test_above_threshold_is_at_once():
    own = neuron(0.01, 0.02)
    assert crossing(own, 0.02, 0.03, 0.0, DT, 0.025, 0.0, DT) == 0
