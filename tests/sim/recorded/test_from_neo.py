from types import SimpleNamespace

import numpy as np
import pytest

from isotau.convert.records.spikes import counts, of_neuron
from isotau.sim.recorded.from_neo import from_binned, from_neo

neo = pytest.importorskip("neo", reason="Neo is an optional library")
pq = pytest.importorskip("quantities", reason="comes with Neo")


def train(times, *, start=0.0, stop=1000.0, units="ms", name=None):
    return neo.SpikeTrain(
        np.array(times) * pq.Quantity(1, units),
        t_start=start * pq.Quantity(1, units),
        t_stop=stop * pq.Quantity(1, units),
        name=name,
    )


def segment(*trains):
    made = neo.Segment()
    made.spiketrains.extend(trains)
    return made


def test_one_segment_is_one_trial_and_units_are_converted():
    segments = [
        segment(train([10.0, 999.0]), train([0.5, 0.25], stop=1.0, units="s")),
        segment(train([], start=5.0, stop=1005.0), train([7.0], stop=900.0)),
    ]
    found = from_neo(segments, window=(0.0, 1.0))
    assert (found.duration, found.names, found.source) == (1.0, (), "neo")
    # In the second segment, which begins at 0, neither train lasts from 0 to 1 s.
    assert found.trials.tolist() == [1, 1]
    assert of_neuron(found, 0)[0] == pytest.approx([0.01, 0.999])
    assert of_neuron(found, 1)[0] == pytest.approx([0.25, 0.5])


def test_segments_cut_from_a_session_keep_its_clock():
    rng = np.random.default_rng(0)
    session = np.sort(rng.uniform(0, 20, 400))
    whole = neo.SpikeTrain(session * pq.s, t_stop=20 * pq.s)
    found = from_neo(
        [segment(whole.time_slice(k * pq.s, (k + 1) * pq.s)) for k in range(0, 20, 2)]
    )
    every, _ = np.histogram(session, np.arange(0, 20.01, 0.1))
    expected = every.reshape(20, 10)[::2].T
    np.testing.assert_array_equal(counts(found, 0.1)[:, :, 0], expected)


def test_a_block_a_segment_and_lists_are_taken():
    block = neo.Block()
    block.segments.append(segment(train([10.0])))
    for given in (block, block.segments, block.segments[0], [[train([10.0])]]):
        assert from_neo(given).times == pytest.approx([0.01])


def test_a_window_counts_from_the_segments_start():
    found = from_neo(
        [
            segment(train([-200.0, 100.0, 350.0], start=-500.0, stop=500.0)),
            segment(train([], start=-500.0, stop=100.0)),
        ],
        window=(0.25, 0.75),
    )
    assert found.trials.tolist() == [1]
    assert found.times == pytest.approx([0.05, 0.35])


def test_neurons_with_names_may_be_missing_from_segments():
    found = from_neo(
        [
            segment(train([1.0], name="a"), train([2.0], name="b")),
            segment(train([3.0], name="b")),
            segment(train([4.0], name="c"), train([5.0], name="a")),
        ]
    )
    assert found.names == ("a", "b", "c")
    assert found.trials.tolist() == [2, 2, 1]
    assert found.times == pytest.approx([0.001, 0.005, 0.002, 0.003, 0.004])


def test_names_that_are_not_unique_are_no_names():
    pair = [train([1.0], name="tetrode"), train([2.0], name="tetrode")]
    found = from_neo([segment(*pair)] * 3)
    assert (found.names, found.trials.tolist()) == ((), [3, 3])


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ([], r"segments: got 0 with \[\] spike trains, need segments with equally"),
        ([[], []], r"segments: got 2 with \[0\] spike trains"),
        ([[train([])], [train([]), train([])]], r"got 2 with \[1, 2\] spike trains"),
        (
            [[train([])], [train([], stop=900.0)]],
            r"got lengths from 0.9 to 1.0 s, need one; give a window",
        ),
    ],
)
def test_segments_that_do_not_fit_together_are_named(segments, message):
    with pytest.raises(ValueError, match=message):
        from_neo(segments)


def test_what_are_no_spike_trains_is_named():
    with pytest.raises(TypeError, match=r"segments\[0\]: got float without t_start"):
        from_neo([[0.5, 0.7]])
    with pytest.raises(TypeError, match=r"segments\[0\]: got float, need a time with"):
        from_neo(
            [[SimpleNamespace(t_start=0.0, t_stop=1.0, rescale=train([]).rescale)]]
        )


class Binned:
    """What is used of Elephant's BinnedSpikeTrain."""

    def __init__(self, array, width=50 * pq.ms):
        self.array, self.bin_size = array, width

    def to_array(self):
        return self.array


def test_binned_trains_are_counts():
    arrays = np.random.default_rng(1).poisson(1.0, (4, 3, 20))
    series = from_binned(Binned(array) for array in arrays)
    assert series.bin_width == pytest.approx(0.05)
    np.testing.assert_array_equal(series.values, arrays.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("binned", "message"),
    [
        ([], r"binned: got shapes \[\] and bins of \[\] s, need one and the same"),
        (
            [Binned(np.ones((1, 2))), Binned(np.ones((1, 3)))],
            r"got shapes \[\(1, 2\), ",
        ),
        (
            [Binned(np.ones((1, 2))), Binned(np.ones((1, 2)), 20 * pq.ms)],
            r"bins of \[0.02, 0.05\] s",
        ),
    ],
)
def test_binned_trains_that_do_not_fit_together_are_named(binned, message):
    with pytest.raises(ValueError, match=message):
        from_binned(binned)


def test_what_is_not_binned_is_named():
    with pytest.raises(TypeError, match=r"binned\[0\]: got ndarray, need to_array"):
        from_binned([np.ones((2, 3))])
    with pytest.raises(TypeError, match=r"bin_size: got float, need a time with unit"):
        from_binned([Binned(np.ones((2, 3)), 0.05)])
