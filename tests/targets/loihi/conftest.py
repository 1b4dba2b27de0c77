"""Networks made of what a placement looks at: weights and profiles."""

import numpy as np
import pytest

from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.spikes import Spikes, pack


@pytest.fixture
def random_net(make_block, make_network):
    """Draws a small network with several blocks, profiles and populations."""

    def draw(seed, n=12, n_in=3):
        rng = np.random.default_rng(seed)

        def weights(columns, density):
            return 2 * (rng.random((n, columns)) < density) * rng.integers(1, 100)

        return make_network(
            [
                make_block(weights(n_in, 0.6), "input", binary=True),
                make_block(weights(n, 0.3)),
                make_block(
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
