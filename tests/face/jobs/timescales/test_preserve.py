"""Timescales of networks at every stage, and what their comparison says."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.read.read_rate import read_rate
from isotau.convert.records.spikes import Spikes, pack
from isotau.jobs.quiet import STAGES, RepeatedRun, run_quiet
from isotau.jobs.run_config import RunConfig
from isotau.jobs.timescales.preserve import (
    COMPARED,
    METHODS,
    NetworkTimescales,
    PreserveConfig,
    StageTimescales,
    compare_measured,
    compare_stages,
    describe_network,
    measure_network,
    measure_networks,
    measure_stage,
)
from isotau.sim.preservation import PreservationConfig, Verdict
from isotau.sim.states import StateBudget
from isotau.sim.timescales import Status, Timescales, autocorrelation, ml
from isotau.sim.timescales.records.autocorrelation import LAGS
from isotau.sim.timescales.records.series import as_series

SIZES = {"trials": 12, "search_trials": 12, "lava_trials": 1}
SMALL = PreserveConfig(
    run=RunConfig(task="rdm", method="scale", seed=1, **SIZES),
    trials=4,
    length=0.8,
    settle=0.1,
    budget=StateBudget(seconds=0.0),
    lava=False,
)
N = 60
TIME = np.arange(1, LAGS + 1) * 0.05
MARGINS = PreservationConfig(draws=300)


def same(a: NetworkTimescales, b: NetworkTimescales) -> bool:
    return a.accuracy == b.accuracy and all(
        np.array_equal(x.tau, y.tau, equal_nan=True)
        and np.array_equal(x.rate, y.rate, equal_nan=True)
        for stage in STAGES
        for method in METHODS
        for x, y in zip(
            a.stages[stage].timescales[method],
            b.stages[stage].timescales[method],
            strict=True,
        )
    )


def measured(tau: np.ndarray, rng: np.random.Generator) -> StageTimescales:
    """What estimators that err by 10 % would find of neurons with these τ."""

    def run(method: str) -> Timescales:
        return Timescales(
            tau=tau * np.exp(0.1 * rng.standard_normal(tau.size)),
            status=[Status.OK] * tau.size,
            amplitude=np.full(tau.size, 0.4),
            offset=np.zeros(tau.size),
            rate=np.full(tau.size, 10.0),
            method=method,
            bin_width=0.05,
            lags=LAGS,
        )

    curves = 0.4 * np.exp(-TIME[:, None] / tau)
    noisy = curves + 0.01 * rng.standard_normal((2, LAGS, tau.size))
    return StageTimescales({m: (run(m), run(m)) for m in METHODS}, noisy, 0.05, {})


def networks(change, count: int = 4) -> list[NetworkTimescales]:
    """Networks whose τ the LIF stage changes, and the chip keeps."""
    found = []
    for k in range(count):
        rng = np.random.default_rng(k)
        tau = 0.15 * np.exp(0.5 * rng.standard_normal(N))
        own = change(tau, rng)
        found.append(
            NetworkTimescales(
                name=f"net{k}",
                stages={
                    "rate": measured(tau, rng),
                    "lif": measured(own, rng),
                    "fixed": measured(own, rng),
                },
                accuracy=dict.fromkeys(STAGES, 1.0),
                tau_syn=np.linspace(0.02, 0.1, N),
                tau_syn_effective=np.linspace(0.02, 0.1, N),
                excitatory=np.arange(N) < 48,
            )
        )
    return found


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda tau, rng: tau, Verdict.PRESERVED),
        (lambda tau, rng: 1.5 * tau, Verdict.NOT_PRESERVED),
        (lambda tau, rng: rng.permutation(tau), Verdict.NOT_PRESERVED),
    ],
    ids=["same", "longer", "permuted"],
)
def test_the_verdict_is_of_what_was_done(change, verdict):
    found = networks(change)
    first = compare_stages(found, "rate", "lif", margins=MARGINS)
    assert (first.a, first.b) == ("rate", "lif")
    assert first.conclusion.verdict is verdict
    assert set(first.conclusion.verdicts) == {*METHODS, "curves"}
    assert set(first.by_method) == set(METHODS)
    kept = compare_stages(found, "lif", "fixed", margins=MARGINS)
    assert kept.conclusion.verdict is Verdict.PRESERVED


def test_comparisons_can_be_made_again():
    found = networks(lambda tau, rng: tau)
    runs = [compare_stages(found, "rate", "fixed", margins=MARGINS) for _ in "12"]
    assert runs[0].conclusion.reason == runs[1].conclusion.reason
    ends = [run.by_method["ml"].endpoints[0].estimate for run in runs]
    assert dataclasses.asdict(ends[0]) == dataclasses.asdict(ends[1])
    other = compare_stages(found, "rate", "fixed", margins=MARGINS, seed=1)
    assert other.by_method["ml"].endpoints[0].estimate.low != ends[0].low


def test_any_two_measurements_can_be_compared():
    """Such as one network's two engines: the names are the caller's."""
    found = networks(lambda tau, rng: tau)
    three = [(n, n.stages["lif"], n.stages["fixed"]) for n in found]
    made = compare_measured(three, ("engine", "board"), margins=MARGINS)
    wanted = compare_stages(found, "lif", "fixed", margins=MARGINS)
    assert (made.a, made.b) == ("engine", "board")
    assert made.conclusion.reason == wanted.conclusion.reason


@pytest.fixture(scope="module")
def quiet(scaled):
    return run_quiet(scaled, trials=6, length=0.8, settle=0.1, seed=3)


@pytest.mark.parametrize(("length", "fine", "wide"), [(0.8, 25, 50), (2.4, 60, 120)])
def test_longer_trials_come_in_wider_bins(scaled, length, fine, wide):
    twice = run_quiet(scaled, trials=6, length=length, settle=0.0, seed=0)["lif"]
    found = measure_stage(twice)
    widths = {m: runs[0].bin_width for m, runs in found.timescales.items()}
    assert widths["ml"] == pytest.approx(1e-3 * fine)
    assert widths["exponential"] == pytest.approx(1e-3 * wide) == found.curve_bin
    for got, run in zip(found.timescales["ml"], twice, strict=True):
        tau = ml(run, bin_width=1e-3 * fine).tau
        assert np.allclose(got.tau, tau, equal_nan=True)
    assert found.curves.shape == (2, LAGS, 48)
    values = as_series(twice.again, 1e-3 * wide).values
    curve = autocorrelation(values, LAGS)
    assert np.allclose(found.curves[1], curve, equal_nan=True)


def test_what_stands_beside_the_timescales(scaled, quiet):
    found = describe_network("a", scaled, quiet)
    assert found.name == "a" and tuple(found.stages) == STAGES
    assert found.accuracy["fixed"] == scaled.stages["fixed"].right.mean()
    assert np.array_equal(found.tau_syn, scaled.conversion.network.tau_syn)
    effective = scaled.quantization.tau_syn_effective
    assert np.array_equal(found.tau_syn_effective, effective, equal_nan=True)
    assert found.excitatory.shape == (48,) and not found.excitatory.any()
    swapped = describe_network(
        "b", scaled, quiet | {"lif": RepeatedRun(*quiet["lif"][::-1])}
    )
    one, other = (n.stages["lif"].timescales["ml"] for n in (found, swapped))
    assert np.array_equal(one[0].tau, other[1].tau, equal_nan=True)


@pytest.mark.slow
@pytest.mark.long
def test_many_networks_are_measured_as_each_alone(low_rank_file):
    """Under seeds that count up, however many at a time."""
    net = read_rate(low_rank_file).net
    two = [("a", net), ("b", net)]
    ticks = []

    def progress(steps, what):
        ticks.append((len(steps), what))
        return steps

    found = measure_networks(two, SMALL, jobs=2, progress=progress)
    assert ticks == [(2, "networks")] and [n.name for n in found] == ["a", "b"]
    for k, (name, rate) in enumerate(two):
        run = dataclasses.replace(SMALL.run, seed=1 + k)
        alone = measure_network(name, rate, dataclasses.replace(SMALL, run=run))
        assert same(found[k], alone)
        for one, other in zip(found[k].states, alone.states, strict=True):
            np.testing.assert_array_equal(one.pair.a.tau, other.pair.a.tau)
            np.testing.assert_array_equal(one.pair.b.tau, other.pair.b.tau)
    assert not same(found[0], found[1])
    pairs = [(each.a, each.b) for each in found[0].states]
    assert pairs == list(COMPARED)


def test_what_cannot_be_measured_is_refused(low_rank_file):
    for name, value, words in (
        ("trials", 2, "trials: got 2, need 3 to"),
        ("length", 0.7, r"length: got 0\.7 s, need at least 0\.75 s"),
        ("settle", -1.0, "settle: got -1"),
    ):
        with pytest.raises(ValueError, match=words):
            PreserveConfig(**{name: value})
    net = read_rate(low_rank_file).net
    with pytest.raises(ValueError, match="jobs: got 0, need 1 to"):
        measure_networks([("a", net)], SMALL, jobs=0)
    with pytest.raises(ValueError, match="need 2 inputs, 1 output for xor"):
        wrong = dataclasses.replace(SMALL.run, task="xor")
        measure_network("a", net, dataclasses.replace(SMALL, run=wrong))
    with pytest.raises(ValueError, match="b: network: got"):
        measure_networks(
            [("b", net), ("c", net)], dataclasses.replace(SMALL, run=wrong), jobs=1
        )
    with pytest.raises(ValueError, match="groups: got 1, need 0 or at least 2"):
        dataclasses.replace(SMALL, groups=1)


def noisy(seconds: float, tau: float, seed: int, n: int = 6) -> Spikes:
    """Neurons whose rates move with the same timescale, in steps of 1 ms."""
    rng = np.random.default_rng(seed)
    steps, x = round(1e3 * seconds), rng.standard_normal((60, n))
    raster = np.empty((steps, 60, n), dtype=bool)
    keep = np.exp(-1e-3 / tau)
    for t in range(steps):
        x = keep * x + np.sqrt(1 - keep**2) * rng.standard_normal(x.shape)
        raster[t] = rng.random(x.shape) < 1e-3 * np.maximum(25 + 25 * x, 0)
    return Spikes(bits=pack(raster), n=n, dt=1e-3, engine="lif")


def test_short_trials_come_in_the_published_bins():
    found = measure_stage(RepeatedRun(noisy(1.0, 0.1, 0), noisy(1.0, 0.1, 1)))
    assert set(found.timescales) == set(METHODS)
    first, again = found.timescales["ml"]
    assert (first.bin_width, found.curve_bin) == (0.025, 0.05)
    assert np.nanmedian(first.tau) / 0.1 < 1.4
    assert np.nanmedian(again.tau) / 0.1 > 0.7
    assert (first.tau != again.tau).all()
    assert found.curves.shape == (2, LAGS, 6)
    assert found.replicates == {}


def test_bins_of_long_trials_are_wider_by_both_methods():
    found = measure_stage(RepeatedRun(noisy(3.0, 0.3, 2), noisy(3.0, 0.3, 3)), groups=4)
    assert np.isclose(found.timescales["ml"][0].bin_width, 0.075)
    assert np.isclose(found.curve_bin, 0.15)
    replicates = found.replicates["ml"]
    assert replicates.shape == (4, 6)
    # other trials would have given other values, about as far off as a repeat is
    assert 0 < np.nanstd(replicates, axis=0).max() < 1


@pytest.mark.slow
def test_lava_is_beside_the_chip_if_it_is_asked_for(low_rank_file):
    config = dataclasses.replace(SMALL, lava=True)
    found = measure_network("net", read_rate(low_rank_file).net, config)
    assert found.lava is not None and found.lava.verdict == "preserved"
    assert [(each.a, each.b) for each in found.states] == list(COMPARED)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"observable": "speed"}, "observable: got 'speed'"),
        ({"epoch": "sleep"}, "epoch: got 'sleep'"),
        ({"epoch": "delay"}, "need one of a task with a delay; rdm has"),
    ],
)
def test_what_cannot_be_watched_is_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **options)


def test_kappa_of_a_network_without_factors_is_refused_before_it_is_carried(rate_net):
    config = dataclasses.replace(SMALL, observable="kappa")
    with pytest.raises(ValueError, match="got kappa for a network without factors"):
        measure_network("net", rate_net, config)
