"""The intervals that decide, by simulation: how often they are wrong."""

from dataclasses import replace

import numpy as np
import pytest

from isotau.sim.preservation import Pair, PreservationConfig, Verdict, pairings
from isotau.sim.preservation.bootstrap import resample
from isotau.sim.preservation.endpoints import endpoints, network_shift
from isotau.sim.preservation.pair import RUNS
from isotau.sim.preservation.verdict import judge
from isotau.sim.timescales import Status, Timescales

MARGIN = np.log(1.25)
REPEATS = 120
CONFIG = PreservationConfig(draws=200)


def measure(pairs, rng, config=CONFIG):
    found = pairings.levels(pairs)
    guarded = pairings.guard(found)
    fixed = len(pairs) < config.min_networks
    drawn = resample(guarded, config.draws, rng, fixed=fixed)
    return endpoints(found, guarded, drawn, config)


def verdicts(make_pairs, networks, n, repeats=REPEATS, **truth):
    """Shares of repeats in which each endpoint says preserved, and not preserved."""
    said = []
    for seed in range(repeats):
        pairs = make_pairs(seed, networks, n, **truth)
        found = measure(pairs, np.random.default_rng(seed))
        said.append([judge(endpoint) for endpoint in found])
    return [
        np.mean([[one is verdict for one in row] for row in said], axis=0)
        for verdict in (Verdict.PRESERVED, Verdict.NOT_PRESERVED)
    ]


# 5 % and twice the standard error.
WRONG = 0.05 + 2 * np.sqrt(0.05 * 0.95 / REPEATS)


@pytest.mark.parametrize(("networks", "n"), [(1, 15), (1, 100), (6, 30)])
def test_a_shift_at_the_margin_passes_rarely(make_pairs, networks, n):
    yes, no = verdicts(make_pairs, networks, n, shift=MARGIN)
    assert yes[0] <= WRONG
    assert no[0] <= WRONG


@pytest.mark.parametrize(("networks", "n"), [(1, 15), (1, 100), (6, 30)])
def test_a_scatter_at_the_margin_passes_rarely(make_pairs, networks, n):
    yes, no = verdicts(make_pairs, networks, n, scatter=MARGIN)
    assert yes[1] <= WRONG
    assert no[1] <= WRONG


@pytest.mark.parametrize(("networks", "n"), [(1, 15), (1, 100), (6, 30)])
def test_a_loss_at_the_margin_passes_rarely(make_pairs, networks, n):
    yes, no = verdicts(make_pairs, networks, n, lost=0.1, kept=1.0)
    assert yes[2] <= WRONG
    assert no[2] <= WRONG


def test_no_change_passes_often(make_pairs):
    yes, no = verdicts(make_pairs, 8, 60, repeats=50)
    assert (yes > 0.95).all()
    assert (no == 0).all()


def test_networks_that_differ_are_not_enough_neurons(make_pairs):
    # Networks whose shifts differ by ± 0.3: many neurons do not make them sure.
    rng = np.random.default_rng(0)
    pairs = [
        pair
        for k, shift in enumerate(rng.choice([-0.3, 0.3], 6))
        for pair in make_pairs(k, 1, 300, shift=shift)
    ]
    shift, _, _ = measure(pairs, rng)
    assert judge(shift) is Verdict.NOT_IDENTIFIABLE


def test_few_neurons_of_which_none_was_lost_prove_little(make_pairs):
    # Rule of three: of 12, as many as a fifth may be lost.
    _, _, loss = measure(make_pairs(0, 1, 12, kept=1.0), np.random.default_rng(0))
    assert loss.estimate.value == 0
    assert loss.estimate.high > 0.1
    _, _, loss = measure(make_pairs(0, 1, 100, kept=1.0), np.random.default_rng(0))
    assert loss.estimate.high < 0.05


def together(make_pairs, seed, error, replicates=None, **truth):
    """A network of which every run errs by N(0, error²) in all neurons together."""
    rng = np.random.default_rng(seed)
    (pair,) = make_pairs(seed, 1, 60, **truth)

    def moved(run):
        return replace(run, tau=run.tau * np.exp(rng.normal(0, error)), estimate=None)

    rows = {}
    if replicates:
        shared = rng.normal(0, error, (2, replicates, 1))
        shared = shared + rng.normal(0, 0.3, (2, replicates, 60))
        rows = {"a_replicates": shared[0], "b_replicates": shared[1]}
    runs = {name: moved(getattr(pair, name)) for name in RUNS}
    return replace(pair, **runs, **rows)


@pytest.mark.parametrize("replicates", [None, 10, 100])
def test_neurons_that_err_together_are_in_the_interval(make_pairs, replicates):
    hits, passed, widths = 0, 0, []
    for seed in range(REPEATS):
        pair = together(make_pairs, seed, 0.07, replicates)
        shift, _, _ = measure([pair], np.random.default_rng(seed))
        hits += shift.estimate.low < 0 < shift.estimate.high
        widths.append(shift.estimate.high - shift.estimate.low)
        passed += judge(shift) is Verdict.PRESERVED
    assert hits / REPEATS >= 0.9 - (WRONG - 0.05)
    assert passed / REPEATS > (0.5 if replicates else 0.25)
    assert np.mean(widths) < (0.4 if replicates else 0.6)


def test_the_shift_of_two_networks_is_theirs_alone(make_pairs):
    # Shifts of ± 0.15: of other networks nothing is known, of these the mean is.
    pairs = make_pairs(0, 1, 300, shift=0.15) + make_pairs(1, 1, 300, shift=-0.15)
    shift, _, _ = measure(pairs, np.random.default_rng(0))
    assert judge(shift) is Verdict.PRESERVED
    config = replace(CONFIG, min_networks=2)
    shift, _, _ = measure(pairs, np.random.default_rng(0), config)
    assert judge(shift) is Verdict.NOT_IDENTIFIABLE


@pytest.mark.parametrize("replicates", [None, 20])
def test_one_network_s_shift_covers(make_pairs, replicates):
    hits = 0
    for seed in range(REPEATS):
        pair = together(make_pairs, seed, 0.07, replicates, shift=0.3)
        (one,) = pairings.levels([pair])
        found = network_shift(one, 0.9)
        hits += found.low < 0.3 < found.high
    assert hits / REPEATS >= 0.9 - (WRONG - 0.05)


def test_a_lost_stage_b_leaves_only_the_loss(make_pairs):
    shift, scatter, loss = measure(
        make_pairs(2, 3, 40, lost=1.1), np.random.default_rng(0)
    )
    assert np.isnan(shift.estimate.value)
    assert np.isnan(scatter.estimate.value)
    assert judge(loss) is Verdict.NOT_PRESERVED


def test_one_network_of_several_gives_no_interval(make_pairs):
    pairs = make_pairs(3, 1, 40) + make_pairs(4, 3, 40, lost=1.1)
    shift, scatter, _ = measure(pairs, np.random.default_rng(0))
    assert np.isfinite(shift.estimate.value)
    assert np.isnan(shift.estimate.low)
    assert np.isnan(scatter.estimate.low)


def test_repeats_without_noise(make_pairs):
    pairs = make_pairs(5, 1, 40, noise=0.0, kept=1.0)
    shift, scatter, _ = measure(pairs, np.random.default_rng(0))
    for found in (shift.estimate, scatter.estimate):
        assert (found.value, found.low, found.high) == pytest.approx(
            (0, 0, 0), abs=1e-7
        )


def test_stages_that_share_no_neuron_with_a_timescale():
    """Stage a has 34 and b other 6: nothing to pair, and no crash."""
    rng, first = np.random.default_rng(0), np.arange(40) < 34

    def run(known):
        return Timescales(
            tau=np.where(known, 0.1 * np.exp(0.3 * rng.standard_normal(40)), np.nan),
            status=[Status.OK if k else Status.NOT_IDENTIFIABLE for k in known],
            amplitude=np.full(40, 0.5),
            offset=np.zeros(40),
            rate=np.full(40, 9.0),
            method="ml",
            bin_width=0.05,
            lags=19,
        )

    runs = {"a": run(first), "a_again": run(first)}
    pair = Pair(name="n", b=run(~first), b_again=run(~first), **runs)
    shift, scatter, loss = measure([pair], rng)
    assert np.isnan(shift.estimate.value)
    assert np.isnan(scatter.estimate.value)
    assert judge(loss) is Verdict.NOT_PRESERVED
