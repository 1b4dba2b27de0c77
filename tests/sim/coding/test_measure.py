"""From responses to memory codes: known populations, and a real network on the chip."""

import json
from pathlib import Path

import numpy as np
import pytest

from isotau.convert.records import storage
from isotau.convert.records.rate import RateRNN
from isotau.jobs.pipeline import carry
from isotau.jobs.run_config import RunConfig
from isotau.sim.coding.decoding import Fall
from isotau.sim.coding.discriminability import discriminate, published_patterns
from isotau.sim.coding.groups import split_quartiles
from isotau.sim.coding.measure import StageData, measure, measure_stages, published
from isotau.sim.coding.memory_code import GROUPS, CodingConfig, long_carries, numbers
from isotau.sim.coding.responses import FIRST_STIMULUS, respond
from isotau.sim.timescales.records.series import Series

DATA = Path(__file__).resolve().parents[3] / "examples/data/dms_750_N200.rate.npz"
CONFIG = CodingConfig(
    delay=(0.2, 1.2),
    train=(0.2, 0.4),
    step=0.05,
    draws=2,
    splits=3,
    resamples=200,
    permutations=100,
)


def stage(make, of_tau, rng, held, networks=7, n=28):
    """Networks whose units' codes last as `held` says of their τ."""
    responses, taus = [], []
    for _ in range(networks):
        tau = rng.uniform(0.02, 0.3, n)
        responses.append(make(rng, persistence=held(tau), trials=24, noise=3.0))
        taus.append(of_tau(tau))
    return StageData(responses, taus)


HOLDS = {
    "long hold": lambda tau: np.where(tau > 0.16, np.inf, 0.12),
    "short hold": lambda tau: np.where(tau > 0.16, 0.12, np.inf),
    "all alike": lambda tau: np.full_like(tau, 0.25),
}


@pytest.mark.parametrize(
    ("which", "verdict"), [("long hold", True), ("short hold", False)]
)
def test_mixtures_are_told_apart(make, of_tau, which, verdict):
    rng = np.random.default_rng(0)
    found = measure(stage(make, of_tau, rng, HOLDS[which]), rng, CONFIG)
    assert long_carries(found) is verdict
    holds, turns = ("long", "short") if verdict else ("short", "long")
    for suffix in ("", "_matched"):
        stable, moving = found.groups[holds + suffix], found.groups[turns + suffix]
        assert stable.stability.value == pytest.approx(1, abs=0.05)
        assert stable.half_life.status is Fall.NEVER
        # exp(−lag/0.12) beyond 0.25 s is below 0.125.
        assert moving.stability.value < 0.3
        assert moving.half_life.status is Fall.OK
        # Φ(d e^(−t/0.12)) falls to half of its start later than e^(−t/0.12) does.
        assert 0.08 < moving.half_life.value < 0.35
        assert moving.half_life.rows == 7
    assert found.shuffled == "networks"
    significant = found.clusters.signs[found.clusters.p <= 0.05]
    assert set(significant) == {1 if verdict else -1}
    long, short = (found.groups[name] for name in GROUPS[3:])
    assert long.discriminability.units == short.discriminability.units > 30
    assert long.rate == pytest.approx(short.rate, rel=0.02)


def test_where_all_hold_alike_nothing_is_shown(make, of_tau):
    rng = np.random.default_rng(1)
    found = measure(stage(make, of_tau, rng, HOLDS["all alike"]), rng, CONFIG)
    assert long_carries(found) is None
    assert not (found.clusters.p <= 0.05).any()


def test_stages_draw_alike_and_give_numbers(make, of_tau):
    rng = np.random.default_rng(0)
    data = stage(make, of_tau, rng, HOLDS["all alike"], networks=2)
    quiet = [Series(values=rng.poisson(1, (21, 9, 28)), bin_width=0.05) for _ in "ab"]
    data = data._replace(quiet=quiet)
    found = measure_stages({"lif": data, "fixed": data}, rng, CONFIG)
    said = {name: numbers(code) for name, code in found.items()}
    assert said["lif"] == said["fixed"]
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert said["lif"]["clusters"]["shuffled"] == "units"
    assert said["lif"]["networks"] == 2
    assert set(said["lif"]["fano"]) == {
        *("all", "long", "short", "long_matched", "short_matched")
    }


def test_one_network_has_intervals_over_trials_alone(make, of_tau):
    rng = np.random.default_rng(0)
    found = measure(stage(make, of_tau, rng, HOLDS["long hold"], 1), rng, CONFIG)
    assert np.isnan(found.more_stable.low) and long_carries(found) is None
    assert found.groups["short"].half_life.rows == 48
    assert np.isfinite(found.groups["short"].half_life.low)
    assert found.fano == {}


def test_groups_without_a_pair_have_no_numbers(make, of_tau):
    rng = np.random.default_rng(0)
    data = stage(make, of_tau, rng, HOLDS["long hold"], 1)
    tau = data.timescales[0].tau
    one = data.responses[0]
    rates = one.rates + 100 * (tau > np.median(tau))
    loud = type(one)(rates=rates, condition=one.condition, labels=one.labels, dt=one.dt)
    found = measure(data._replace(responses=[loud]), rng, CONFIG)
    matched = found.groups["long_matched"]
    assert matched.half_life is None and np.isnan(matched.stability.value)
    assert found.clusters is None and found.shuffled == ""
    assert numbers(found)["groups"]["long_matched"]["mean_rate_hz"] is None


def test_published_groups(make, of_tau):
    rng = np.random.default_rng(0)
    data = stage(make, of_tau, rng, HOLDS["long hold"], 3)
    found = published(data.responses, data.timescales)
    groups = split_quartiles(data.timescales)
    patterns = [published_patterns(one) for one in data.responses]
    for name, masks in (("all", None), ("long", groups.long), ("short", groups.short)):
        want = discriminate(patterns, masks)
        np.testing.assert_array_equal(found[name].matrix, want.matrix)
    assert [found[name].units for name in ("all", "long", "short")] == [84, 21, 21]
    corner = {name: one.matrix[4:8, -4:].mean() for name, one in found.items()}
    assert corner["long"] > 0.7 > 0.4 > abs(corner["short"])


def test_timescales_must_be_the_networks(make, of_tau):
    rng = np.random.default_rng(0)
    data = stage(make, of_tau, rng, HOLDS["all alike"], 2)
    few = data._replace(timescales=data.timescales[:1])
    with pytest.raises(ValueError, match=r"timescales: got networks of \[28\] units"):
        measure(few, rng, CONFIG)
    with pytest.raises(ValueError, match=r"need \[28, 28\] as the responses"):
        published(few.responses, few.timescales)


@pytest.mark.slow
@pytest.mark.long
def test_a_trained_network_holds_its_memory_on_the_chip():
    """The sign of the first stimulus, through 750 ms, at every stage."""
    rate = storage.load(DATA, RateRNN)
    config = RunConfig(
        task="dms-750", trials=80, search_trials=60, timescale_trials=40, seed=1
    )
    result = carry(rate, config, timescales=True)
    stages = {
        name: StageData(
            [respond(stage.spikes, result.plan.test.labels, FIRST_STIMULUS)],
            [stage.quiet.timescales],
            [stage.quiet.spikes],
        )
        for name, stage in result.stages.items()
    }
    rng = np.random.default_rng(0)
    brief = CodingConfig(draws=2, splits=3, resamples=100, permutations=50)
    found = measure_stages(stages, rng, brief)
    assert list(found) == ["rate", "lif", "fixed"]
    for code in found.values():
        every = code.groups["all"]
        assert every.stability.value > 0.9 and every.diagonal.value > 0.9
        assert every.half_life.status is Fall.NEVER
        assert every.half_life.accuracy.min() > 0.9
        # Before the stimulus there is nothing to tell apart.
        before = every.discriminability.times < 0.15
        quiet = every.discriminability.matrix[np.ix_(before, before)]
        assert np.nanmean(quiet) < 0.4
