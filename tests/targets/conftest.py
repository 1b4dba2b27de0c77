"""Networks of given integers; what is not given is plain."""

import numpy as np
import pytest

from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock


def block(weights, source="recurrent", pre=None, **fields):
    weights = np.asarray(weights)
    return WeightBlock(
        source=source,
        pre=np.arange(weights.shape[1]) if pre is None else pre,
        weights=weights,
        **{
            "weight_exp": 0,
            "num_weight_bits": 8,
            "sign_mode": SignMode.EXCITATORY,
            **fields,
        },
    )


def network(blocks, n, n_in=1, **fields):
    return FixedPointNetwork(
        blocks=tuple(blocks),
        n_in=n_in,
        **{
            "du": np.full(n, 400),
            "dv": np.full(n, 100),
            "vth": np.full(n, 50),
            "bias_mant": np.zeros(n),
            "bias_exp": np.zeros(n),
            "refractory": np.zeros(n),
            "noise_exp": None,
            "state_scale": np.ones(n),
            "v_reset": np.zeros(n),
            "input_scale": 1.0,
            "dt": 1e-3,
            "w_out": np.zeros((1, n)),
            "b_out": np.zeros(1),
            "tau_out": np.ones(n),
            **fields,
        },
    )


@pytest.fixture
def make_block():
    return block


@pytest.fixture
def make_network():
    return network
