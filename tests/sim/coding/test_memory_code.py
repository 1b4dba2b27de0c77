"""What is said of a memory code, and when it says that long-τ units carry it."""

import dataclasses
import json

import numpy as np
import pytest

from isotau.sim.coding.clusters import Clusters
from isotau.sim.coding.decoding import half_life
from isotau.sim.coding.discriminability import Discriminability, Interval
from isotau.sim.coding.fano import MatchedFano
from isotau.sim.coding.memory_code import (
    GROUPS,
    CodingConfig,
    GroupCode,
    MemoryCode,
    long_carries,
    numbers,
)

NONE = Interval(np.nan, np.nan, np.nan)


def group(curve=(0.9, 0.6), half=True):
    lags = np.array([0, 0.1])
    rows = np.tile(curve, (3, 1))
    life = half_life(rows, lags, rng=np.random.default_rng(0), resamples=9)
    return GroupCode(
        discriminability=Discriminability(
            matrix=np.eye(2), times=[0, 0.1], units=10, networks=3, trials=8
        ),
        stability=Interval(0.5, 0.25, 0.75),
        off=Interval(0.4, 0.2, 0.6),
        diagonal=Interval(0.8, 0.7, 0.9),
        half_life=life if half else None,
        rate=12.0,
    )


def code(more_stable=NONE, **more):
    groups = {name: group() for name in GROUPS}
    groups["short_matched"] = group(half=False)
    groups["long"] = group((0.9, 0.9))
    given = {
        "groups": groups,
        "more_stable": more_stable,
        "clusters": None,
        "shuffled": "",
        "edges": (0.05, 0.2),
        "fano": {},
        "networks": 3,
        "config": CodingConfig(),
    }
    return MemoryCode(**(given | more))


def test_the_verdict_needs_an_interval_beside_zero():
    assert long_carries(code(Interval(0.3, 0.1, 0.5))) is True
    assert long_carries(code(Interval(-0.3, -0.5, -0.1))) is False
    assert long_carries(code(Interval(0.3, -0.1, 0.5))) is None
    assert long_carries(code(Interval(0.3, np.nan, np.nan))) is None


def test_numbers_are_json():
    found = Clusters(
        difference=np.zeros((2, 2)),
        times=[0, 0.1],
        labels=[[0, 1], [2, 2]],
        signs=[1, -1],
        p=[0.01, 0.2],
        permutations=99,
    )
    fano = {"all": 1.5, "long": np.nan, "long_matched": MatchedFano(1.0, 0.1, 7)}
    said = numbers(code(clusters=found, shuffled="networks", fano=fano))
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert said["clusters"] == {
        "shuffled": "networks",
        "permutations": 99,
        "p": [0.01, 0.2],
        "signs": [1, -1],
        "share_significant": 0.25,
    }
    assert said["fano"] == {
        "all": 1.5,
        "long": None,
        "long_matched": {"fano": 1.0, "spread": 0.1, "points": 7},
    }
    every = said["groups"]["all"]
    assert every["stability"] == {"value": 0.5, "low": 0.25, "high": 0.75}
    assert every["units"] == 10 and every["mean_rate_hz"] == 12
    # From 0.9 to 0.6 it falls to 0.7 after two thirds of 0.1 s.
    assert every["half_life"]["seconds"] == pytest.approx(0.2 / 3)
    never = said["groups"]["long"]["half_life"]
    assert (never["status"], never["seconds"]) == ("never falls to half", None)
    assert never["high_s"] is None and never["longest_lag_s"] == 0.1
    assert said["groups"]["short_matched"]["half_life"] is None


def test_numbers_without_clusters():
    said = numbers(code())
    assert said["clusters"]["p"] == [] and said["clusters"]["share_significant"] is None
    assert said["long_carries_stable_code"] is None


def test_configuration_is_checked():
    with pytest.raises(ValueError, match=r"delay: got 1 to 1 s, need start < stop"):
        CodingConfig(delay=(1, 1))
    with pytest.raises(ValueError, match=r"train: got 0.6 to 0.5 s, need start < stop"):
        CodingConfig(train=(0.6, 0.5))
    with pytest.raises(ValueError, match="draws: got 0"):
        CodingConfig(draws=0)
    assert dataclasses.replace(CodingConfig(), lag=0.1).lag == 0.1
