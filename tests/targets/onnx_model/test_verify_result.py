import json
from dataclasses import replace

import numpy as np
import pytest

from isotau.targets.onnx_model.verify_result import (
    Difference,
    Verified,
    agreement,
    as_json,
    compare,
    describe,
)

STEPS, BATCH, N = 6, 2, 3


def outputs():
    spikes = np.zeros((STEPS, BATCH, N), np.uint8)
    spikes[::2] = 1
    v = np.random.default_rng(0).normal(size=(STEPS, BATCH, N))
    return {"spikes": spikes, "v": v, "state.v": v[-1].copy()}


def copied(values, **changes):
    return {name: value.copy() for name, value in values.items()} | changes


def result(compared, first, **changes):
    fields = {
        "path": "net.onnx",
        "kind": "LIFNetwork",
        "dtype": "float64",
        "trials": BATCH,
        "steps": STEPS,
        "seed": 0,
        "compared": compared,
        "first": first,
        "spikes": 18,
        "agreement": 1.0,
        "marked": True,
        "runtime": "1.31.1",
    }
    return Verified(**fields | changes)


def test_equal_outputs_do_not_differ():
    need = outputs()
    compared, first = compare(copied(need), need, 1e-9)
    assert first is None
    assert [one.values for one in compared] == [36, 36, 6]
    assert all(one.different == 0 and one.largest == 0 for one in compared)
    assert result(compared, first).identical


def test_the_first_difference_is_the_earliest():
    need = outputs()
    got = copied(need)
    got["state.v"][0, 0] += 1
    got["v"][5, 0, 1] += 1
    got["v"][3, 1, 2] = 7
    compared, first = compare(got, need, 1e-9)
    assert first == Difference(3, 1, 2, "v", 7.0, need["v"][3, 1, 2])
    assert [one.different for one in compared] == [0, 2, 1]


def test_floats_may_differ_by_a_part_of_the_trials_largest():
    need = outputs()
    need["v"][:, 1] *= 1000
    got = copied(need)
    got["v"] *= 1 + 1e-5
    assert compare(got, need, 2e-5)[1] is None
    got["v"][0, 0, 0] += 1e-3
    first = compare(got, need, 2e-5)[1]
    assert (first.step, first.trial, first.neuron, first.name) == (0, 0, 0, "v")


def test_after_its_first_other_spike_a_trial_is_not_compared():
    need = outputs()
    got = copied(need)
    got["spikes"][2, 1, 0] = 0
    got["v"][2:, 1] += 5
    got["state.v"][1] += 5
    compared, first = compare(got, need, 1e-9)
    assert first == Difference(2, 1, 0, "spikes", 0.0, 1.0)
    assert [one.different for one in compared] == [1, 0, 0]
    got["v"][1, 1, 0] += 5
    assert compare(got, need, 1e-9)[1].step == 1


def test_integers_must_be_equal_however_large():
    need = {"state.step": np.array(2**60), "ring": np.zeros((1, 1, 2), np.int64)}
    got = {"state.step": np.array(2**60 + 1), "ring": np.zeros((1, 1, 2), np.int32)}
    compared, first = compare(got, need, 0.5)
    assert compared[0].different == 1 and compared[1].different == 0
    assert first.step is None and first.neuron == 0 and first.name == "step"


def test_infinities_and_no_numbers_are_equal_to_themselves_alone():
    need = {"x": np.array([[[np.inf, -np.inf, np.nan, 1.0]]])}
    assert compare(copied(need), need, 1e-9)[1] is None
    for k, other in enumerate((-np.inf, np.nan, 0.0, np.inf)):
        got = copied(need)
        got["x"][0, 0, k] = other
        assert compare(got, need, 1e-9)[1].neuron == k


def test_agreement_is_the_share_of_spikes_in_both():
    a, b = np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])
    assert agreement(a, b) == pytest.approx(1 / 3)
    assert agreement(a, a) == agreement(0 * a, 0 * a) == 1


def test_the_result_in_words():
    need = outputs()
    good = result(*compare(copied(need), need, 1e-9))
    assert "net.onnx: identical within the tolerance; LIFNetwork" in describe(good)
    assert "spikes: 0 of 36 differ\n" in describe(good)
    fixed = replace(good, kind="FixedPointNetwork", marked=False, spikes=0)
    assert "identical, bit for bit" in describe(fixed)
    assert "does not say which network" in describe(fixed)
    assert "no neuron fired" in describe(fixed)
    got = copied(need)
    got["v"][3, 1, 2] = 7
    bad = result(*compare(got, need, 1e-9))
    assert "DIFFERENT" in describe(bad)
    assert "first difference: v of 2, step 3, trial 1: got 7, need" in describe(bad)
    got = copied(need)
    got["state.v"][0, 1] = 7
    after = describe(result(*compare(got, need, 1e-9)))
    assert "first difference: v of 1, after the last step, trial 0" in after


def test_the_result_as_plain_data():
    need = outputs()
    got = copied(need)
    got["v"][0, 0, 0] = np.inf
    plain = as_json(result(*compare(got, need, 1e-9)))
    text = json.dumps(plain, allow_nan=False)
    assert json.loads(text)["first"]["got"] == "inf"
    assert plain["identical"] is False and len(plain["compared"]) == 3
