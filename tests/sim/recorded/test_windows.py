import numpy as np
import pytest

from isotau.convert.records.spikes import counts, of_neuron
from isotau.sim.recorded.windows import consecutive, covered, cut, place, span


def test_every_spike_is_where_a_search_by_hand_puts_it():
    rng = np.random.default_rng(0)
    neurons = [rng.uniform(0, 100, k) for k in (400, 0, 90)]
    starts = rng.permutation(np.arange(5, 95, 3.0))
    found = cut(neurons, starts, 2.0, names=("a", "b", "c"), source="x")
    assert (found.duration, found.names, found.source) == (2.0, ("a", "b", "c"), "x")
    assert found.trials.tolist() == [starts.size] * 3
    for k, train in enumerate(neurons):
        for j, times in enumerate(of_neuron(found, k)):
            inside = [t - starts[j] for t in train if 0 <= t - starts[j] < 2.0]
            assert times.tolist() == sorted(inside)


def test_counts_are_those_of_a_histogram_of_the_session():
    rng = np.random.default_rng(1)
    train = np.sort(rng.uniform(0, 50, 800))
    found = counts(cut([train], np.arange(0.0, 50, 2), 1.0), 0.1)
    every, _ = np.histogram(train, np.arange(0, 50.01, 0.1))
    np.testing.assert_array_equal(found[:, :, 0], every.reshape(25, 20)[:, :10].T)


def test_neurons_keep_only_the_trials_in_which_they_were_observed():
    train = np.arange(0.5, 8)  # one spike in the middle of every window
    seen = np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 2, dtype=bool)
    found = cut([train, train + 0.25], np.arange(8.0), 1.0, observed=seen)
    assert found.trials.tolist() == [4, 4]
    assert found.trial.tolist() == [0, 1, 2, 3] * 2
    assert found.times.tolist() == [0.5] * 4 + [0.75] * 4


def test_a_spike_between_windows_that_touch_counts_once():
    starts = np.arange(300) * 0.1  # rounded: neighbours touch to within 1e-15 s
    found = cut([starts], starts, 0.1)
    assert found.times.size == 300
    assert np.bincount(found.trial).tolist() == [1] * 300


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [0.0], 1.0), r"windows: got 1 of 0 neurons, need one of each at least"),
        (([[0.1]], [], 1.0), r"windows: got 0 of 1 neurons"),
        (
            ([[0.1]], [0.0, 0.9], 1.0),
            r"at 0.0 and 0.9 s, which overlap, need them apar",
        ),
        (
            ([[0.1], [np.nan]], [0.0], 1.0),
            r"neurons\[1\]: got nan at \[0\], need finit",
        ),
        (([[0.1]], [np.inf], 1.0), r"starts: got inf"),
        (([[0.1]], [0.0], 0.0), r"duration: got 0.0, need numbers greater than 0"),
    ],
)
def test_what_cannot_be_cut_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        cut(*arguments)


def test_observed_has_one_entry_per_trial_and_neuron():
    with pytest.raises(ValueError, match=r"got int64 of shape \(1, 1\), need bool of"):
        cut([[0.1]], [0.0], 1.0, observed=np.ones((1, 1), dtype=np.int64))


@pytest.mark.parametrize("window", [(1.0, 1.0), (1.0, 0.5)])
def test_a_window_ascends(window):
    with pytest.raises(ValueError, match=r"need a start before a stop"):
        span(window)


def test_trials_without_the_event_or_too_short_are_left_out():
    align = [1.0, np.nan, 5.0, 7.0]
    usable, starts, duration = place(
        align, window=(-0.5, 0.9), stops=[2, 4, 5.5, np.inf]
    )
    assert usable.tolist() == [True, False, False, True]
    assert starts.tolist() == [0.5, 6.5]
    assert duration == pytest.approx(1.4)


def test_without_a_window_the_shortest_trial_sets_it():
    usable, starts, duration = place([0.0, 10.0, np.nan], stops=[3.0, 12.0, 20.5])
    assert (usable.tolist(), duration) == ([True, True, False], 2.0)
    assert starts.tolist() == [0.0, 10.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"window: got none, need start and stop, or stops of trials"),
        ({"stops": [1.0]}, r"stops: got float64 of shape \(1,\), need numbers of shap"),
        ({"stops": ["a", "b"]}, r"stops: got <U1 of shape \(2,\), need numbers"),
        ({"stops": [1.0, 9.0], "window": (0, 2)}, r"got 2 trials that end before or"),
    ],
)
def test_trials_that_cannot_be_placed_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        place([0.0, 8.0], **options)


def test_events_are_finite_or_missing():
    with pytest.raises(ValueError, match=r"align: got inf"):
        place([np.inf], window=(0, 1))
    with pytest.raises(ValueError, match=r"align: got float64 of shape \(1, 2\), need"):
        place([[0.0, 1.0]], window=(0, 1))


def test_cover_is_that_of_points_on_a_fine_grid():
    rng = np.random.default_rng(2)
    for _ in range(50):
        begins = rng.integers(0, 40, 5) / 2
        intervals = np.stack((begins, begins + rng.integers(1, 9, 5) / 2), axis=1)
        starts = rng.integers(-4, 50, 30) / 4
        found = covered(intervals, starts, 1.0)
        for start, inside in zip(starts, found, strict=True):
            points = start + (np.arange(16) + 0.5) / 16
            within = (points[:, None] > intervals[:, 0]) & (
                points[:, None] < intervals[:, 1]
            )
            assert inside == within.any(axis=1).all()


def test_nothing_is_covered_without_intervals():
    assert covered(np.zeros((0, 2)), np.arange(3.0), 1.0).tolist() == [False] * 3


def test_long_blocks_are_filled_with_windows():
    found = consecutive([0.0, 10.0, 20.0], [0.3, 10.3, 20.05], 0.1)
    expected = [0, 0.1, 0.2, 10, 10.1, 10.2]  # 0.3/0.1 is below 3 in floats
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("stop", "duration", "message"),
    [
        (-1.0, 1.0, r"stops: got -1.0 s at \[0\], need at least its start, 0.0 s"),
        (1e9, 1e-3, r"duration: got 1e\+12 windows of 0.001 s, need at most"),
        (np.inf, 1.0, r"stops: got inf"),
    ],
)
def test_blocks_that_cannot_be_filled_are_named(stop, duration, message):
    with pytest.raises(ValueError, match=message):
        consecutive([0.0], [stop], duration)
