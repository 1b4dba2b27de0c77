"""One LIF network, one input, one seed: whoever asks gets the same integers."""

from dataclasses import replace

import numpy as np
import pytest

import isotau
from isotau.convert.read.read_inputs import Inputs
from isotau.convert.records.given import answer_is_near
from isotau.convert.records.trials import Trials, refine, with_silence
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.jobs import tune_lesson, tune_network
from isotau.jobs.pipeline import carry
from isotau.jobs.run_config import TuningPlan


@pytest.fixture(scope="module")
def search(carried):
    """The trials that the run's conversion was made on."""
    plan, rate = carried.plan, carried.rate
    rng = np.random.default_rng(plan.seeds.search)
    return refine(plan.task.draw(carried.config.search_trials, rng), rate.dt)


@pytest.fixture(scope="module")
def inputs(carried, search):
    """What `isotau run` calibrates the chip on."""
    return with_silence(carried.plan.shown(search, carried.plan.dt))


@pytest.fixture(scope="module")
def expected(carried, inputs):
    """The way of the README."""
    lif, seed = carried.conversion.network, carried.plan.seeds.calibration
    return isotau.prepare(lif, inputs, seed=seed).fixed.fingerprint


@pytest.fixture
def untuned():
    config = TuneConfig(updates=0, batch=2, evaluate_trials=2)
    return TuningPlan(config=config, reference="lif")


def test_run_makes_the_chip_of_the_readme(carried, expected):
    assert carried.fixed.fingerprint == expected


def test_quantize_makes_the_same_chip(carried, inputs, expected):
    """Of its trials, the first half calibrates."""
    twice = Inputs(np.concatenate([inputs, inputs], axis=1), None, None)
    seed = carried.plan.seeds.calibration
    made = isotau.quantize_on(carried.conversion.network, twice, seed=seed)
    assert made.fixed.fingerprint == expected


def test_tune_begins_with_the_same_chip(
    carried, inputs, expected, untuned, monkeypatch
):
    lif, seeds = carried.conversion.network, tune_lesson.tuning_seeds(0)
    seeds = seeds._replace(ranges=carried.plan.seeds.calibration)
    monkeypatch.setattr(tune_network, "tuning_seeds", lambda seed: seeds)
    steps, batch, _ = inputs.shape
    trials = Trials(
        inputs=inputs,
        targets=np.zeros((steps, batch, lif.n_out)),
        mask=np.ones((steps, batch), dtype=bool),
        labels=np.zeros(batch, dtype=int),
        dt=lif.dt,
        task="any",
    )
    lesson = tune_lesson.lesson_of_trials(
        trials, lif, score=answer_is_near, loss="mse", seed=0
    )
    lesson = lesson._replace(typical=trials, peak=float(np.abs(inputs).max()))
    made = tune_network.tune_foreign(lif, lesson, untuned)
    assert made.fixed.fingerprint == expected


def test_tuning_of_a_rate_network_begins_with_it_too(carried, expected, untuned):
    made = carry(carried.rate, replace(carried.config, tuning=untuned))
    assert made.fixed.fingerprint == expected
