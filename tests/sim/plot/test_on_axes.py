"""What pictures share: bars, scales and limits, by the artists on the axes."""

import pytest

from isotau.sim.plot import on_axes as draw


def said(axes):
    return [text.get_text() for text in axes.texts]


def test_narrow_segments_have_no_number(axes):
    draw.stacked_bars(axes, {"a": {"x": 1, "y": 99}}, {"x": ("k", ""), "y": ("w", "")})
    assert said(axes) == ["", "99"]


@pytest.mark.parametrize("rows", [{}, {"a": {"x": 0}}])
def test_bars_of_nothing_say_so(axes, rows):
    draw.stacked_bars(axes, rows, {"x": ("k", "")})
    assert said(axes) == ["no neuron to show"]
    assert axes.get_legend() is None


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (60, 400, ["70", "100", "150", "200", "300"]),
        (5, 500, ["5", "10", "20", "50", "100", "200", "500"]),
        (1, 2e4, ["1", "10", "100", "1000", "10000"]),
        (0.04, 3, ["0.05", "0.1", "0.2", "0.5", "1", "2"]),
    ],
)
def test_logarithmic_axes_have_few_ticks_in_full(axes, low, high, ticks):
    draw.log_scale(axes, "y", low, high)
    shown = [tick.get_text() for tick in axes.get_yticklabels()]
    assert shown == ticks
    assert axes.get_ylim() == (low, high)


def test_limits_hold_all_values_and_are_never_too_narrow():
    assert draw.limits([]) == (5, 500)
    assert draw.limits([100.0]) == pytest.approx((40, 250))
    low, high = draw.limits([13.0, 1000.0])
    assert (low, high) == pytest.approx((10, 1300))
