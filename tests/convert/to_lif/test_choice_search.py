"""What a search for a calibration takes for right, allowed, close and better."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.to_lif.calibrate import Calibration
from isotau.convert.to_lif.choice_search import (
    CLOSE,
    GAIN,
    GAINS,
    TRIMMING,
    Budget,
    ChoiceSearch,
    StateReference,
    TriedChoice,
    distance_of,
    reference_states,
)
from isotau.convert.to_lif.conversion import Candidate

GOOD = Candidate(
    inverse_lambda=1.0,
    unit=1e-3,
    accuracy=1.0,
    mean_rate=20.0,
    state_distance=0.5,
    task_distance=0.25,
)


def a_search(step_task, **changes):
    shown = step_task.trials(6)
    fields = {
        "rate": step_task.network("tanh"),
        "fitted": shown,
        "judged": shown,
        "score": step_task.score,
        "seed": 0,
        "enough": 0.9,
        "budget": Budget(rate=50.0),
        "reference": None,
        "progress": lambda *_: None,
    }
    return ChoiceSearch(**fields | changes)


def test_another_state_is_not_right_however_well_it_answers(step_task):
    search = a_search(step_task)
    assert search.is_allowed(GOOD)
    assert not search.is_right(dataclasses.replace(GOOD, elsewhere=True))
    assert not search.is_right(dataclasses.replace(GOOD, accuracy=0.8))
    busy = dataclasses.replace(GOOD, mean_rate=60.0)
    assert search.is_right(busy) and not search.is_allowed(busy)


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [
        ("copies", 0, "need 1 to"),
        ("rate", 0.0, "greater than 0"),
        ("seconds", -1.0, "0"),
    ],
)
def test_bad_budgets_are_named(name, value, needed):
    with pytest.raises(ValueError, match=f"{name}: got {value}.*{needed}"):
        Budget(**{name: value})


def test_a_state_is_close_in_distances_of_two_runs(step_task):
    net, shown = step_task.network("tanh"), step_task.trials(6)
    outputs, reference = reference_states(net, shown, 0, look=True)
    assert reference is not None and 0 < reference.floor < 1
    np.testing.assert_array_equal(
        outputs, reference_states(net, shown, 0, look=False)[0]
    )
    assert reference_states(net, shown, 0, look=False)[1] is None
    search = a_search(step_task, reference=reference)
    for factor, close in ((0.9, True), (1.1, False)):
        far = factor * CLOSE * reference.floor
        found = dataclasses.replace(GOOD, state_distance=far, task_distance=0.0)
        search.best = TriedChoice(found, None, None)
        assert search.is_close() == close
    search.best = None
    assert not search.is_close()


def test_what_is_allowed_comes_before_what_is_right_before_the_rest(step_task):
    net, shown = step_task.network("tanh"), step_task.trials(6)
    _, reference = reference_states(net, shown, 0, look=True)
    assert isinstance(reference, StateReference)
    search = a_search(step_task, reference=reference)
    in_order = [
        dataclasses.replace(GOOD, accuracy=0.5),
        dataclasses.replace(GOOD, accuracy=0.8),
        dataclasses.replace(GOOD, mean_rate=90.0),
        dataclasses.replace(GOOD, mean_rate=60.0, state_distance=9.0),
        dataclasses.replace(GOOD, state_distance=0.9),
        GOOD,
    ]
    ranks = [search._rank(TriedChoice(found, None, None)) for found in in_order]
    assert ranks == sorted(ranks) and len(set(ranks)) == len(ranks)
    unseen = dataclasses.replace(GOOD, state_distance=None)
    assert distance_of(unseen) == np.inf and distance_of(GOOD) == 0.75


@pytest.mark.parametrize(
    ("size", "power", "gains"),
    [
        # too large by 20 %: a step down, and to where a power law has 1
        (1.2, 5.0, [1 - GAIN, 1 - GAIN * np.log(1.2) / (-5 * np.log(1 - GAIN))]),
        (0.8, 5.0, [1 + GAIN, 1 + GAIN * np.log(1.25) / (5 * np.log(1 + GAIN))]),
        # not as far as a line would go
        (1.2, 0.5, [1 - GAIN, 1 - GAINS]),
        # sizes that do not follow the gain, or are right, or an answer that is wrong
        (1.2, -5.0, [1 - GAIN]),
        (1.02, 5.0, []),
        (None, 5.0, []),
        (0.0, 5.0, []),
    ],
)
def test_the_gain_goes_to_where_states_are_as_large(
    step_task, silent_neurons, monkeypatch, size, power, gains
):
    net, shown = step_task.network("tanh"), step_task.trials(6)
    _, reference = reference_states(net, shown, 0, look=True)
    search = a_search(step_task, reference=reference)
    made = silent_neurons(np.full(net.n, 0.03), w_rec=np.ones((net.n, net.n)))

    def looked(self, calibration, tried):
        gain = calibration.networks[-1].w_rec[0, 0]
        sd_ratio = None if size is None else size * gain**power
        far = abs(np.log(sd_ratio)) if sd_ratio else 9.0
        return dataclasses.replace(GOOD, sd_ratio=sd_ratio, state_distance=far)

    monkeypatch.setattr(ChoiceSearch, "_look", looked)
    fit = Calibration(
        networks=(made,), constants=LIFConstants(), inverse_lambda=1.0, residual=(0.0,)
    )
    first = TriedChoice(looked(search, fit, None), fit, None)
    best = search._regain(first)
    assert [c.gain for c in search.candidates] == pytest.approx(gains)
    nearest = min([first.candidate, *search.candidates], key=distance_of)
    assert best.candidate == nearest
    wrong = first._replace(candidate=dataclasses.replace(GOOD, accuracy=0.5))
    assert search._regain(wrong) is wrong and len(search.candidates) == len(gains)


@pytest.mark.parametrize(("trims", "ends"), [(False, 10.0), (True, 10.0 - 1.0)])
def test_time_is_kept_for_the_trim(step_task, monkeypatch, trims, ends):
    """A try of 3 s begins until 3 s before the end, or before what a trim takes."""
    search = a_search(step_task, trims=trims, stop=10.0)
    search.longest, search.longest_look = 3.0, 1.0 / TRIMMING
    clock = "isotau.convert.to_lif.choice_search.time.monotonic"
    for moment, expected in ((ends - 3.01, True), (ends - 2.99, False)):
        monkeypatch.setattr(clock, lambda moment=moment: moment)
        assert search.has_time() == expected
    monkeypatch.setattr(clock, lambda: ends - 5.0)
    assert not search.has_time(2.0)
