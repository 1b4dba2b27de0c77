"""The controls: what is known to be preserved, what is not, and what cannot be told."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from isotau.sim.preservation import PreservationConfig, Verdict, compare_spikes
from isotau.sim.preservation.compare import median_ratio

CONFIG = PreservationConfig(draws=300)
SEEDS = 25


def verdicts(make_pairs, networks, n, seeds=SEEDS, **truth):
    said = []
    for seed in range(seeds):
        pairs = make_pairs(seed, networks, n, **truth)
        said.append(
            compare_spikes(pairs, CONFIG, rng=np.random.default_rng(seed)).verdict
        )
    return [said.count(verdict) for verdict in Verdict]


@pytest.mark.parametrize(("networks", "n"), [(1, 400), (2, 200), (8, 100)])
def test_the_same_network_under_other_seeds_is_preserved(make_pairs, networks, n):
    yes, no, _ = verdicts(make_pairs, networks, n)
    assert no == 0
    assert yes >= SEEDS - 1


@pytest.mark.parametrize(("networks", "n"), [(1, 150), (6, 60)])
@pytest.mark.parametrize(
    "truth",
    [
        {"permuted": True},
        {"shift": np.log(1.5)},
        {"shift": -np.log(1.5)},
        {"lost": 0.5},
    ],
)
def test_damage_is_not_preserved(make_pairs, networks, n, truth):
    yes, no, _ = verdicts(make_pairs, networks, n, **truth)
    assert yes == 0
    assert no >= SEEDS - 1


def test_a_silent_chip_is_not_preserved(make_pairs):
    found = compare_spikes(
        make_pairs(0, 1, 30, lost=1.1), CONFIG, rng=np.random.default_rng(0)
    )
    assert found.verdict is Verdict.NOT_PRESERVED
    assert found.reason.startswith("loss: beyond a repeat's")
    assert found.attrition.lost == {"not identifiable": found.attrition.only_first}
    assert np.isnan(found.distances.wasserstein)


def test_permuted_but_unreliable_is_not_identifiable(make_pairs):
    yes, no, _ = verdicts(make_pairs, 1, 60, permuted=True, spread=0.3, noise=1.0)
    assert yes == 0
    assert no <= 2


def test_permuted_but_alike_is_preserved_with_a_warning(make_pairs):
    pairs = make_pairs(0, 8, 300, permuted=True, spread=0.05)
    found = compare_spikes(pairs, CONFIG, rng=np.random.default_rng(0))
    assert found.verdict is Verdict.PRESERVED
    assert "speaks of their level, not of which neuron is slow" in found.reason
    plain = compare_spikes(make_pairs(0, 8, 100), CONFIG, rng=np.random.default_rng(0))
    assert "level" not in plain.reason


@pytest.mark.parametrize(
    ("n", "truth"),
    [(12, {}), (9, {"permuted": True}), (30, {"kept": 0.2}), (30, {"lost": 0.1})],
)
def test_few_neurons_are_not_identifiable(make_pairs, n, truth):
    yes, no, _ = verdicts(make_pairs, 1, n, **truth)
    assert yes + no <= 2


def test_chance_finds_are_not_identifiable(make_pairs):
    # What kim makes of Poisson neurons: a tenth identified, with τ of no meaning.
    truth = {"kept": 0.1, "spread": 0.0, "noise": 1.5, "method": "kim"}
    _, _, unknown = verdicts(make_pairs, 5, 1000, seeds=5, **truth)
    assert unknown == 5
    found = compare_spikes(
        make_pairs(0, 2, 1000, **truth), CONFIG, rng=np.random.default_rng(0)
    )
    assert found.reason.startswith("no network has a say; net 0: got ")
    assert "need more than twice the 0.1 that have one by chance" in found.reason
    assert len(found.left_out) == 2


def test_too_few_identified_in_a(make_pairs):
    pairs = make_pairs(0, 1, 9)
    found = compare_spikes(pairs, CONFIG, rng=np.random.default_rng(0))
    assert found.verdict is Verdict.NOT_IDENTIFIABLE
    assert "of 9 neurons with a timescale in both runs of a, need 10" in found.reason
    assert found.scope == "no network"
    assert found.distances is None
    assert found.attrition.both > 0


def test_most_networks_must_have_a_say(make_pairs):
    good, bad = make_pairs(0, 4, 200), make_pairs(1, 5, 200, kept=0.01)
    bad = [replace(pair, name=f"bad {k}") for k, pair in enumerate(bad)]
    found = compare_spikes([*good, *bad], CONFIG, rng=np.random.default_rng(0))
    assert found.verdict is Verdict.NOT_IDENTIFIABLE
    assert "only 4 of 9 networks have a say, need a share of 0.5" in found.reason
    found = compare_spikes([*good, *bad[:4]], CONFIG, rng=np.random.default_rng(0))
    assert found.verdict is Verdict.PRESERVED


def test_a_shift_at_the_margin_passes_rarely(make_pairs):
    # Two one-sided tests of 5 %; 80 repeats have a standard error of 2.4 %.
    yes, _, _ = verdicts(make_pairs, 6, 60, seeds=80, shift=np.log(1.25))
    assert yes / 80 <= 0.05 + 2 * 0.024


def test_by_network(make_pairs):
    pairs = make_pairs(2, 3, 50, shift=0.1)
    found = compare_spikes(pairs, CONFIG, rng=np.random.default_rng(0))
    assert [one.name for one in found.by_network] == ["net 0", "net 1", "net 2"]
    shifts = [one.shift.value for one in found.by_network]
    assert found.endpoints[0].estimate.value == pytest.approx(np.mean(shifts))
    losses = [one.loss for one in found.by_network]
    assert found.endpoints[2].estimate.value == pytest.approx(np.mean(losses))
    assert all(
        one.shift.low < one.shift.value < one.shift.high for one in found.by_network
    )
    assert found.by_network[0].neurons > 30


def test_numbers_hold_their_values(make_pairs):
    found = compare_spikes(make_pairs(3, 5, 80), CONFIG, rng=np.random.default_rng(0))
    for name, one in found.numbers.items():
        assert one.low <= one.value <= one.high, name
    assert found.numbers["disattenuated"].value == pytest.approx(1, abs=0.1)
    ratios = found.numbers["repeat_ratio_a"], found.numbers["repeat_ratio_b"]
    assert all(one.low < 1.05 and one.high > 0.95 for one in ratios)


def test_one_rng_gives_one_result(make_pairs):
    pairs = make_pairs(4, 3, 40)
    first, second = (
        compare_spikes(pairs, CONFIG, rng=np.random.default_rng(9)) for _ in range(2)
    )
    assert first.reason == second.reason
    assert first.numbers["spearman"].low == second.numbers["spearman"].low


def test_median_ratio(make_pairs):
    (pair,) = make_pairs(5, 1, 101, shift=0.2, kept=1.0)
    d = np.sort(np.log(pair.b.tau / pair.a.tau))
    found = median_ratio([pair], PreservationConfig())
    assert found.value == pytest.approx(np.exp(np.median(d)))
    # The narrowest interval of order statistics whose tails hold 2.5 % at most.
    heads = np.cumsum([math.comb(101, k) / 2**101 for k in range(101)])
    rank = int(np.sum(heads <= 0.025))
    assert np.log([found.low, found.high]) == pytest.approx([d[rank - 1], d[-rank]])


def test_median_ratio_of_several(make_pairs):
    several = make_pairs(6, 4, 30)
    medians = [np.nanmedian(np.log(p.b.tau / p.a.tau)) for p in several]
    found = median_ratio(several, PreservationConfig())
    expected = stats.t.interval(0.95, 3, np.mean(medians), stats.sem(medians))
    assert np.log([found.low, found.high]) == pytest.approx(expected)
    two = median_ratio(several[:2], PreservationConfig())
    one = median_ratio(several[:1], PreservationConfig())
    assert two.low < np.exp(np.mean(medians[:2])) < two.high
    assert two.high / two.low < one.high / one.low


def test_median_ratio_of_very_few(make_pairs):
    config = PreservationConfig()
    assert np.isnan(median_ratio(make_pairs(7, 1, 3, kept=1.0), config).low)
    assert np.isnan(median_ratio(make_pairs(7, 1, 3, kept=0.0), config).value)


def test_refusals(make_pairs):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="pairs: got none, need at least one network"):
        compare_spikes([], rng=rng)
    twice = make_pairs(0, 1, 20) + make_pairs(1, 1, 20)
    with pytest.raises(ValueError, match="pairs: got net 0 more than once, need every"):
        compare_spikes(twice, rng=rng)
    other = replace(make_pairs(0, 1, 20, method="kim")[0], name="other")
    two = [*make_pairs(0, 1, 20), other]
    with pytest.raises(ValueError, match="pairs: got methods kim, ml, need one"):
        compare_spikes(two, rng=rng)
