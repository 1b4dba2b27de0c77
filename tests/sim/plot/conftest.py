"""Axes to draw on, for all tests of pictures."""

from io import BytesIO

import matplotlib
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure


@pytest.fixture
def axes():
    """Axes of their own; whatever is drawn on them can be written without a warning."""
    before = dict(matplotlib.rcParams), pyplot.get_fignums()
    figure = Figure(layout="constrained")
    yield figure.subplots()
    figure.savefig(BytesIO(), format="png")
    assert (dict(matplotlib.rcParams), pyplot.get_fignums()) == before
