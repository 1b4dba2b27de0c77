"""Learning curves: what they say and show, by the axes they drew on."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from isotau.convert.tuning.evaluate import TuneEvaluation
from isotau.sim.plot import plot_tuning as draw

LOSSES = [{"task": 2.0 / (k + 1), "total": 2.0 / (k + 1)} for k in range(30)]
EVALUATIONS = [
    TuneEvaluation(
        k, {"task": 3.0 / (k + 1), "total": 3.0 / (k + 1)}, accuracy, 10.0 + k
    )
    for k, accuracy in ((0, 0.5), (10, 0.9), (20, 0.8), (30, 0.85))
]


@pytest.fixture
def axes():
    return Figure().subplots()


def dots(axes):
    return [line for line in axes.get_lines() if line.get_marker() == "o"]


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_one_part_is_drawn_once(axes):
    assert draw.loss_curves(axes, LOSSES, EVALUATIONS, best=10) is axes
    assert legend(axes) == ["task"]
    assert axes.get_yscale() == "log" and axes.get_xlabel().startswith("updates (line")
    raw = axes.get_lines()[0]
    assert raw.get_ydata() == pytest.approx([2.0 / (k + 1) for k in range(30)])
    (held,) = dots(axes)
    assert held.get_xdata().tolist() == [0, 10, 20, 30]
    assert held.get_ydata()[0] == 3.0


def test_parts_and_their_sum_are_drawn_and_what_is_no_number_is_not(axes):
    losses = [{"task": 1.0, "timescales": -0.1, "total": 0.9}, {"task": math.nan}]
    losses += [{"task": 1.2, "rates": 2.0, "total": math.inf}]
    draw.loss_curves(axes, losses, [], best=0)
    assert legend(axes) == ["task", "timescales", "total", "rates"]
    assert axes.get_yscale() == "linear"
    drawn = {line.get_label(): list(line.get_xdata()) for line in axes.get_lines()}
    assert drawn["task"] == [0, 2] and drawn["timescales"] == [0]
    assert drawn["rates"] == [2] and drawn["total"] == [0]


def test_the_running_median_ignores_outliers(axes):
    losses = [{"task": 100.0 if k % 7 == 3 else 1.0} for k in range(90)]
    draw.loss_curves(axes, losses, [], best=0)
    median = axes.get_lines()[1]
    assert median.get_label() == "task" and (median.get_ydata() == 1.0).all()


def test_the_best_update_is_marked(axes):
    draw.accuracy_curve(axes, EVALUATIONS, best=10)
    assert axes.get_title() == "best: 0.900 at update 10"
    curve, marked = dots(axes)
    assert curve.get_ydata() == pytest.approx([0.5, 0.9, 0.8, 0.85])
    assert list(np.ravel(marked.get_xdata())) == [10]
    low, high = axes.get_ylim()
    assert low < 0.5 and high > 1


def test_rates_are_drawn_from_0(axes):
    draw.rate_curve(axes, EVALUATIONS, best=10)
    assert dots(axes)[0].get_ydata() == pytest.approx([10, 20, 30, 40])
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 40


def test_trials_too_short_for_a_rate_are_said_to_be(axes):
    draw.rate_curve(axes, [EVALUATIONS[0]._replace(rate=math.nan)], best=0)
    assert [text.get_text() for text in axes.texts] == ["trials shorter than 50 ms"]


def test_a_picture_is_written(tmp_path):
    path = draw.curves(tmp_path / "curves.png", LOSSES, EVALUATIONS, best=10)
    assert imread(path).shape[1] > 1500
    draw.curves(path, [], EVALUATIONS[:1], best=0)  # nothing was tuned
    assert imread(path).shape[1] > 1500
