"""Networks made of what a placement looks at: weights and profiles."""

import numpy as np
import pytest

from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.records.spikes import Spikes, pack


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


@pytest.fixture
def random_net():
    """Draws a small network with several blocks, profiles and populations."""

    def draw(seed, n=12, n_in=3):
        rng = np.random.default_rng(seed)

        def weights(columns, density):
            return 2 * (rng.random((n, columns)) < density) * rng.integers(1, 100)

        return network(
            [
                block(weights(n_in, 0.6), "input", binary=True),
                block(weights(n, 0.3)),
                block(
                    -weights(n // 2, 0.9),
                    pre=np.sort(rng.choice(n, n // 2, replace=False)),
                    sign_mode=SignMode.INHIBITORY,
                    weight_exp=int(rng.integers(-3, 3)),
                    delay=int(rng.choice([0, 1, 9])),
                ),
            ],
            n,
            n_in,
            du=rng.integers(0, 6, n),
            refractory=rng.integers(0, 2, n),
            vth=rng.integers(1, 4, n),
            population=np.append([0, 1], rng.integers(0, 2, n - 2)),
        )

    return draw


@pytest.fixture
def random_spikes():
    def draw(seed, net, steps=20, batch=2, rate=0.2):
        raster = np.random.default_rng(seed).random((steps, batch, net.n)) < rate
        return raster, Spikes(bits=pack(raster), n=net.n, dt=net.dt, engine="drawn")

    return draw
