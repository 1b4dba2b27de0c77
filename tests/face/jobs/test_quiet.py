import numpy as np
import pytest

from isotau.convert.records.spikes import count, mean_rate, unpack
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.to_lif.conversion import unit_rates
from isotau.jobs.quiet import STAGES, run_quiet

LENGTH, SETTLE = 0.4, 0.2


@pytest.fixture(scope="module")
def short_runs(scaled):
    return run_quiet(scaled, trials=5, length=LENGTH, settle=SETTLE, seed=3)


def test_every_stage_runs_twice(short_runs, scaled):
    assert tuple(short_runs) == STAGES == ("rate", "lif", "fixed")
    for twice in short_runs.values():
        for run in twice:
            assert run.steps * run.dt == pytest.approx(LENGTH)
            assert (run.batch, run.n) == (5, scaled.rate.n)
            assert mean_rate(run) > 1


def test_no_two_runs_share_their_noise(short_runs):
    runs = [run for twice in short_runs.values() for run in twice]
    trains = [unpack(run.bits, run.n).reshape(-1).astype(float) for run in runs]
    for k, one in enumerate(trains):
        for other in trains[:k]:
            assert np.corrcoef(one, other)[0, 1] < 0.2


def test_a_seed_gives_the_same_spikes_again(short_runs, scaled):
    again = run_quiet(scaled, trials=5, length=LENGTH, settle=SETTLE, seed=3)
    other = run_quiet(scaled, trials=5, length=LENGTH, settle=SETTLE, seed=4)
    for stage in STAGES:
        for one, same, new in zip(
            short_runs[stage], again[stage], other[stage], strict=True
        ):
            assert (one.bits == same.bits).all()
            assert (one.bits != new.bits).any()


def test_the_time_to_settle_is_left_out(short_runs, scaled):
    """It is the start of a longer run under the same seed."""
    whole = run_quiet(scaled, trials=5, length=LENGTH + SETTLE, settle=0.0, seed=3)
    for stage in STAGES:
        for late, run in zip(short_runs[stage], whole[stage], strict=True):
            skipped = round(SETTLE / run.dt)
            assert (run.bits[skipped:] == late.bits).all()


def test_there_is_no_input(scaled):
    """The rate stage's spikes are as many as its units' rates at u = 0 ask for."""
    found = run_quiet(scaled, trials=40, length=LENGTH, settle=SETTLE, seed=0)["rate"]
    steps = round((LENGTH + SETTLE) / scaled.rate.dt)
    silence = np.zeros((steps, 40, scaled.rate.n_in))
    run = simulate_rate(scaled.rate, silence, seed=1, keep_x=True)
    hz = unit_rates(scaled.rate, scaled.conversion, run)[-20:].mean(axis=(0, 1))
    got = count(found.first, width=found.first.steps)[0].mean(axis=0) / LENGTH
    error = np.sqrt(hz / (40 * LENGTH))
    assert np.abs(got - hz).max() < 5 * error.max()
    assert got.mean() == pytest.approx(hz.mean(), rel=0.05)
