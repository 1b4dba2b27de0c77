import h5py
import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records.spikes import counts, of_neuron
from isotau.sim.recorded.read_nwb import read_nwb
from isotau.sim.recorded.read_spike_times import read_spike_times
from isotau.sim.timescales import kim

FIXATION = np.array([10.0 * j + 1 + 0.05 * j for j in range(10) if j != 4])


def by_hand(train, starts, duration):
    return [[t - s for t in train if s <= t < s + duration] for s in starts]


def check(found, k, expected):
    for times, other in zip(of_neuron(found, k), expected, strict=True):
        assert times == pytest.approx(other, abs=1e-9)


def test_trials_are_cut_around_their_event(write_nwb, spike_trains):
    found = read_nwb(write_nwb(observed=False), align="fixation", window=(-0.2, 0.9))
    assert found.duration == pytest.approx(1.1)
    assert found.trials.tolist() == [9] * 4  # one trial lacks the event
    assert found.source == "session.nwb: 9 of 10 trials from fixation"
    for k, train in enumerate(spike_trains):
        check(found, k, by_hand(train, FIXATION - 0.2, 1.1))


def test_without_a_window_trials_are_as_long_as_the_shortest(write_nwb, spike_trains):
    found = read_nwb(write_nwb(observed=False))
    assert (found.duration, found.trials.tolist()) == (5.0, [10] * 4)
    check(found, 0, by_hand(spike_trains[0], 10.0 * np.arange(10), 5.0))


def test_trials_that_end_too_early_are_left_out(write_nwb, spike_trains):
    found = read_nwb(write_nwb(observed=False), window=(0.0, 5.55))
    assert found.trials.tolist() == [4] * 4
    check(found, 1, by_hand(spike_trains[1], [60.0, 70.0, 80.0, 90.0], 5.55))


def test_a_unit_has_the_trials_in_which_it_was_observed(write_nwb, spike_trains):
    found = read_nwb(write_nwb(), align="fixation", window=(0.0, 0.9))
    # Unit 11 was observed to 72 s, in two intervals that touch.
    assert found.trials.tolist() == [9, 6, 9, 9]
    check(found, 1, by_hand(spike_trains[1], FIXATION[:6], 0.9))


def test_names_tell_the_unit_and_where_it_was(write_nwb):
    assert read_nwb(write_nwb()).names == (
        "10 hippocampus",
        "11 amygdala",
        "12 hippocampus amygdala",
        "13 hippocampus amygdala",
    )


def test_units_and_trials_are_chosen_by_their_columns(write_nwb, spike_trains):
    path = write_nwb(observed=False)

    def read(**choices):
        return read_nwb(path, align="fixation", window=(0, 0.9), **choices)

    assert read(units={"quality": "good"}).names == (
        "11 amygdala",
        "13 hippocampus amygdala",
    )
    assert read(units={"snr": lambda snr: snr > 1, "quality": "multi"}).n == 1
    found = read(trials={"hand": ["left", "both"], "correct": True})
    assert found.source == "session.nwb: 2 of 10 trials from fixation"
    check(found, 0, by_hand(spike_trains[0], FIXATION[[1, 2]], 0.9))


def test_rest_is_split_into_windows(write_nwb, spike_trains):
    found = read_nwb(write_nwb(observed=False), intervals="rest", split=1.0)
    starts = np.concatenate((np.arange(20.0, 50.0), np.arange(60.0, 99.0)))
    assert found.trials.tolist() == [69] * 4
    assert found.source == "session.nwb: 2 of 2 rest split"
    check(found, 0, by_hand(spike_trains[0], starts, 1.0))


def test_windows_may_lie_before_the_trial(write_nwb, spike_trains):
    found = read_nwb(
        write_nwb(observed=False), window=(-1.0, 0.0), trials={"hand": "right"}
    )
    check(found, 0, by_hand(spike_trains[0], 10.0 * np.arange(5, 10) - 1, 1.0))


def test_the_entry_for_all_files_reads_it_too(write_nwb):
    found = read_spike_times(write_nwb(), align="fixation", window=(0, 0.9))
    assert counts(found, 0.05).shape == (18, 9, 4)


def test_the_estimators_take_it(write_nwb):
    found = read_nwb(write_nwb(), intervals="rest", split=1.5)
    taus = kim(found)
    assert taus.n == 4
    assert taus.status[3].value == "too few spikes"
    assert taus.rate[0] == pytest.approx(9, abs=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"split": 1.0, "window": (0, 1)},
            r"split: got align or window too, need spli",
        ),
        ({"split": 1.0, "align": "fixation"}, r"split: got align or window too"),
        ({"intervals": "blocks"}, r"intervals: got 'blocks', need .*: trials, rest"),
        ({"align": "cue"}, r"trials: got no column 'cue' .*, need one of start_time, "),
        ({"align": "licks"}, r"trials: got no column 'licks' with one value per row"),
        (
            {"align": "hand", "window": (0, 1)},
            r"align: got <U5 of shape \(10,\), need a time",
        ),
        (
            {"units": {"depth": 1}},
            r"units: got no column 'depth'.*, need one of qualit",
        ),
        ({"units": {"quality": "best"}}, r"got 10 trials and 0 units that were chosen"),
        ({"trials": {"hand": "none"}}, r"got 0 trials and 4 units that were chosen"),
        ({"units": {"snr": lambda snr: snr}}, r"snr: got float64 of shape \(4,\) from"),
        ({"window": (0, 20)}, r"got 10 trials that end before or lack the event"),
        ({"window": (-6, 4.5)}, r"which overlap, need them apart"),
    ],
)
def test_what_cannot_be_done_is_named(options, message, write_nwb):
    with pytest.raises(ValueError, match=message):
        read_nwb(write_nwb(), **options)


def test_trials_that_end_before_they_begin_are_named_with_their_file(write_nwb):
    path = write_nwb()
    with h5py.File(path, "r+") as file:
        file["intervals/trials/stop_time"][...] = -1.0
    with pytest.raises(ValueError, match=r"session\.nwb: window: got 0\.0 to -91\.0 s"):
        read_nwb(path)


def test_a_session_without_trials_says_so(write_nwb):
    with pytest.raises(ValueError, match=r"need one of the file's tables: rest"):
        read_nwb(write_nwb(trials=False))


def test_a_file_without_units_is_no_recording(write_nwb):
    with pytest.raises(UnreadableFile, match="it has no table of units"):
        read_nwb(write_nwb(units=False))
