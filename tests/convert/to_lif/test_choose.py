"""The choice of a calibration: what is tried, what is rejected, what it may cost."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.storage import same
from isotau.convert.records.trials import Trials, refine, subset
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.readout import network_outputs
from isotau.convert.to_lif import choice_search as module
from isotau.convert.to_lif.choice_search import Budget, distance_of
from isotau.convert.to_lif.choose import ATTEMPTS, CARRIED
from isotau.convert.to_lif.convert_rate import ConvertConfig, convert_rate
from isotau.convert.to_lif.teacher import CalibrateConfig

CARRYING = ConvertConfig()
QUIET = ConvertConfig(calibration=CalibrateConfig(current_noise=0.0))
"""Without noise in the currents: the state at rest is not looked at."""


def impossible(outputs: np.ndarray, shown: Trials) -> np.ndarray:
    """Right in the rate network's own steps only: no LIF network is good enough."""
    return np.full(shown.batch, shown.dt == 0.01)


def found(step_task, config=CARRYING, *, batch=12, activation="tanh", score=None):
    return convert_rate(
        step_task.network(activation),
        step_task.trials(batch),
        score=score or step_task.score,
        seed=4,
        config=config,
    )


def test_the_choice_is_made_on_other_trials_than_the_fit(step_task):
    """The chosen figures are those of the last third, which no fit has seen."""
    net, shown, score = step_task.network("tanh"), step_task.trials(12), step_task.score
    made = found(step_task, QUIET)
    assert made.chosen in made.candidates
    fine = refine(subset(shown, slice(8, None)), made.network.dt)
    spikes = simulate_lif(made.network, fine.inputs, seed=4).spikes
    right = score(network_outputs(made.network, spikes), fine)
    assert right.mean() == made.chosen.accuracy and made.chosen.trials == 4
    # trials that only the choice sees do not move the weights
    inputs = shown.inputs.copy()
    inputs[:, 8:] += np.random.default_rng(0).standard_normal(inputs[:, 8:].shape)
    noisier = dataclasses.replace(shown, inputs=inputs)
    once = dataclasses.replace(
        QUIET,
        good_enough=0.0,
        calibration=CalibrateConfig(rounds=0, current_noise=0.0),
    )
    first, other = (
        convert_rate(net, each, score=score, seed=4, config=once)
        for each in (shown, noisier)
    )
    assert same(first.network, other.network)
    assert first.chosen.error != other.chosen.error


def test_other_swings_are_tried_until_one_will_do(step_task):
    """Nothing is good enough here, so that all are tried and the best is taken."""
    made = found(step_task, QUIET, batch=6, score=impossible)
    swing = QUIET.calibration.swing
    factors = np.repeat([factor for factor, _ in ATTEMPTS], 2)
    assert [c.swing for c in made.candidates] == pytest.approx(list(swing * factors))
    assert made.chosen.error == min(c.error for c in made.candidates)
    assert made.constants.unit == made.chosen.unit
    assert 0.2 * swing < made.constants.unit < 10 * swing
    assert "None of them answers well enough" in made.why
    assert made.state_floor is None and made.chosen.state_distance is None


def test_a_given_offset_holds_for_every_attempt(step_task):
    calibration = CalibrateConfig(rounds=0, offset=3e-3)
    config = ConvertConfig(calibration=calibration)
    made = found(step_task, config, batch=6, score=impossible)
    assert made.constants.v_leak - made.constants.v_th == pytest.approx(3e-3)
    # ×2 comes with several offsets otherwise
    points = dict.fromkeys(factor for factor, _ in (*CARRIED, *ATTEMPTS))
    assert len(made.candidates) == len(points)


def test_a_softplus_network_begins_at_threshold_and_with_twice_the_swing(step_task):
    easy = dataclasses.replace(QUIET, good_enough=0.0)
    made = found(step_task, easy, batch=6, activation="softplus")
    assert made.constants.v_leak == pytest.approx(made.constants.v_th)
    other = found(
        step_task,
        ConvertConfig(
            good_enough=0.0,
            calibration=CalibrateConfig(offset=1e-3, current_noise=0.0),
        ),
        batch=6,
        activation="softplus",
    )
    assert other.constants.unit == pytest.approx(made.constants.unit)


def test_the_nearest_state_is_chosen_among_those_that_answer(step_task, monkeypatch):
    # Nothing is close, so that everything is tried.
    monkeypatch.setattr(module, "CLOSE", 0.0)
    made = found(step_task, batch=30)
    right = [c for c in made.candidates if c.accuracy >= 0.99]
    nearest = min(distance_of(c) for c in right if not c.trimmed)
    assert distance_of(made.chosen) <= module.HARMLESS * nearest
    assert made.chosen.trimmed or distance_of(made.chosen) == nearest
    assert made.chosen.accuracy >= 0.99
    for name in ("swing", "offset", "ridge", "rest"):
        assert len({getattr(c, name) for c in made.candidates}) > 1, name
    assert {c.rounds for c in made.candidates} == {0, 1}
    # What is said of distances is theirs.
    far = distance_of(made.chosen) / made.state_floor
    assert f"{far:.2g} times" in made.why
    assert f"{len(made.candidates)} networks were tried" in made.why


def test_the_search_ends_where_the_state_is_close(step_task, monkeypatch):
    monkeypatch.setattr(module, "CLOSE", np.inf)
    made = found(step_task, batch=30)
    # One calibration, and its synapses trimmed.
    assert [c.trimmed for c in made.candidates] == [False, True]
    assert made.chosen.rounds == 0
    assert "No nearer one was looked for" in made.why


@pytest.mark.parametrize(("factor", "trimmed"), [(0.0, False), (np.inf, True)])
def test_trims_that_do_harm_are_not_kept(step_task, monkeypatch, factor, trimmed):
    monkeypatch.setattr(module, "HARMLESS", factor)
    made = found(step_task, batch=30)
    assert made.chosen.trimmed == trimmed
    assert made.chosen is made.candidates[-1 if trimmed else -2]


def test_synapses_are_trimmed_at_last_unless_that_is_not_wanted(step_task):
    made = found(step_task, batch=30)
    assert [c.trimmed for c in made.candidates][-1]
    assert sum(c.trimmed for c in made.candidates) == 1
    tau = step_task.network("tanh").tau
    assert made.chosen.trimmed != bool((made.network.tau_syn == tau).all())
    as_it_is = ConvertConfig(calibration=CalibrateConfig(trim=False))
    kept = found(step_task, as_it_is, batch=30)
    assert not any(c.trimmed for c in kept.candidates)
    np.testing.assert_array_equal(kept.network.tau_syn, tau)


def test_time_ends_the_search_but_not_before_one_is_right(step_task, monkeypatch):
    monkeypatch.setattr(module, "CLOSE", 0.0)
    config = ConvertConfig(budget=Budget(seconds=0.0))
    made = found(step_task, config, batch=30)
    assert {c.swing for c in made.candidates} == {80e-3}
    assert "The search ended after 0 s" in made.why
    never = found(step_task, config, score=impossible, batch=6)
    points = (*CARRIED, *ATTEMPTS)
    assert {c.swing for c in never.candidates} == {20e-3 * swing for swing, _ in points}


def test_networks_that_fire_more_than_they_may_are_left_out(step_task, monkeypatch):
    monkeypatch.setattr(module, "CLOSE", 0.0)
    free = found(step_task, batch=30)
    rates = sorted(c.mean_rate for c in free.candidates if c.accuracy >= 0.99)
    limit = (rates[0] + rates[-1]) / 2
    held = found(step_task, ConvertConfig(budget=Budget(rate=limit)), batch=30)
    assert held.chosen.mean_rate <= limit
    none = found(step_task, ConvertConfig(budget=Budget(rate=1e-3)), batch=30)
    least = min(c.mean_rate for c in none.candidates if c.accuracy >= 0.99)
    # its synapses are trimmed, which is no matter of rates
    assert none.chosen.mean_rate == pytest.approx(least, rel=0.02)
    assert "fire at more than 0.001 Hz: the one that fires least" in none.why


def test_more_copies_are_tried_where_they_may_be(step_task, monkeypatch):
    monkeypatch.setattr(module, "CLOSE", 0.0)
    made = found(step_task, ConvertConfig(budget=Budget(copies=2)), batch=30)
    assert {c.copies for c in made.candidates} == {1, 2}
    # Fewer than are asked for there never are.
    two = ConvertConfig(copies=2, budget=Budget(copies=1, seconds=0.0))
    assert found(step_task, two).chosen.copies == 2
    assert made.rate.n == made.network.n == made.chosen.copies * 32


def test_membranes_that_may_have_noise_are_tried_with_more(step_task, monkeypatch):
    monkeypatch.setattr(module, "CLOSE", 0.0)
    noisy = ConvertConfig(calibration=CalibrateConfig(membrane_noise=True))
    made = found(step_task, noisy, batch=30)
    usual = LIFConstants().noise_std
    noises = {round(c.membrane_noise / usual, 9) for c in made.candidates}
    assert noises == {1.0, 3.0}
    quiet = found(step_task, batch=30)
    assert {c.membrane_noise for c in quiet.candidates} == {0.0}
