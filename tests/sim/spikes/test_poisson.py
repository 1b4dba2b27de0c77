import numpy as np
import pytest

from isotau.convert.records.spikes import count, unpack
from isotau.sim.spikes.poisson import observe


def test_counts_have_the_mean_and_variance_of_the_rates() -> None:
    rates = np.broadcast_to([0.1, 0.5, 1.0], (200, 400, 3)).copy()
    spikes = observe(
        rates,
        dt_rates=0.005,
        inverse_lambda=40.0,
        dt=0.001,
        rng=np.random.default_rng(0),
        network="abc",
    )
    assert (spikes.steps, spikes.batch, spikes.n, spikes.dt) == (1000, 400, 3, 0.001)
    assert (spikes.engine, spikes.network) == ("rate", "abc")
    counts = count(spikes, width=1000)[0]
    expected = 40 * np.array([0.1, 0.5, 1.0])
    assert np.all(np.abs(counts.mean(axis=0) - expected) < 4 * np.sqrt(expected / 400))
    # Of a Bernoulli train: n p (1 − p).
    variance = expected * (1 - expected * 0.001)
    assert np.all(np.abs(counts.var(axis=0, ddof=1) / variance - 1) < 4 * 0.0708)


def test_each_rate_is_held_for_its_own_steps() -> None:
    rates = np.zeros((3, 1, 9))
    rates[1, 0, 8] = 1.0
    spikes = observe(
        rates,
        dt_rates=0.004,
        inverse_lambda=1000.0,
        dt=0.001,
        rng=np.random.default_rng(0),
    )
    raster = unpack(spikes.bits, 9)
    assert np.argwhere(raster).tolist() == [[t, 0, 8] for t in range(4, 8)]


def test_spikes_of_neighbouring_steps_are_independent() -> None:
    spikes = observe(
        np.full((20_000, 1, 4), 0.5),
        dt_rates=0.001,
        inverse_lambda=200.0,
        dt=0.001,
        rng=np.random.default_rng(1),
    )
    raster = unpack(spikes.bits, 4)[:, 0].astype(float)
    lagged = np.corrcoef(raster[1:].ravel(), raster[:-1].ravel())[0, 1]
    across = np.corrcoef(raster[:, 0], raster[:, 1])[0, 1]
    assert abs(lagged) < 4 / np.sqrt(80_000) and abs(across) < 4 / np.sqrt(20_000)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"dt": 0.003},
            r"dt: got 0\.003 s, need a whole fraction of the rates' 0\.005",
        ),
        ({"dt": 0.01}, r"dt: got 0\.01 s, need a whole fraction"),
        ({"inverse_lambda": 2000.0}, r"dt: got a spike probability of 2 per step"),
        ({"inverse_lambda": 0.0}, r"inverse_lambda: got 0\.0, need numbers greater"),
        ({"rates": np.full((2, 1, 1), -1.0)}, r"rates: got -1\.0 at \[0, 0, 0\]"),
    ],
)
def test_impossible_observations_are_refused(
    changed: dict[str, object], message: str
) -> None:
    arguments: dict[str, object] = {
        "rates": np.ones((2, 1, 1)),
        "dt_rates": 0.005,
        "inverse_lambda": 20.0,
        "dt": 0.001,
        "rng": np.random.default_rng(0),
    }
    with pytest.raises(ValueError, match=message):
        observe(**(arguments | changed))  # type: ignore[arg-type]
