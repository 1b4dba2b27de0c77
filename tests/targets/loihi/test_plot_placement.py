from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from isotau.targets.loihi.limits import LOIHI1, LOIHI2
from isotau.targets.loihi.place import place
from isotau.targets.loihi.plot_placement import PALE, plot_placement
from isotau.targets.loihi.traffic import traffic


def filled(axes):
    return [
        patch
        for patch in axes.patches
        if isinstance(patch, Rectangle)
        and patch.get_facecolor()[:3] != (0.9411764705882353,) * 3
    ]


def texts(axes):
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("chip", [replace(LOIHI1, neurons=4), LOIHI2])
def test_every_core_in_use_is_drawn_with_its_neurons(random_net, chip):
    placement = place(random_net(1, 30), chip)
    axes = plot_placement(placement, names=["left", "right"])
    assert PALE == "#F0F0F0"
    assert len(filled(axes)) == placement.cores
    numbers = [int(text) for text in texts(axes) if text.isdigit()]
    assert sorted(numbers) == sorted(placement.used["neurons"].tolist())
    assert any("left" in text for text in texts(axes))
    assert f"{placement.cores} of 128 cores" in axes.get_title(loc="left")
    axes.figure.canvas.draw()


def test_cores_do_not_cover_each_other(make_network):
    placement = place(make_network([], 128), replace(LOIHI1, neurons=1))
    axes = plot_placement(placement)
    corners = {patch.get_xy() for patch in axes.patches}
    assert len(corners) == 128
    for x, y in corners:
        others = [(a, b) for a, b in corners if (a, b) != (x, y)]
        assert all(abs(a - x) >= 0.999 or abs(b - y) >= 0.999 for a, b in others)


def test_traffic_is_drawn_between_tiles(make_block, make_network, random_spikes):
    net = make_network([make_block(np.full((12, 12), 4))], 12)
    placement = place(net, replace(LOIHI1, neurons=1))
    raster, spikes = random_spikes(0, net, batch=1)
    axes = plot_placement(placement, traffic=traffic(net, placement, spikes))
    # three tiles in a row: two links, equally busy
    widths = [line.get_linewidth() for line in axes.lines]
    first, second = raster.sum(axis=(0, 1)).reshape(3, 4).sum(axis=1)[[0, 2]]
    middle = raster.sum() - first - second
    loads = 8 * first + 4 * (middle + second), 8 * second + 4 * (middle + first)
    assert widths == pytest.approx([9 * load / max(loads) for load in loads])
    said = axes.get_legend().get_texts()[0].get_text()
    assert f"{max(loads):,} messages" in said
    assert sum("→" in text for text in texts(axes)) == 12


def test_it_draws_on_given_axes_and_one_chip_at_a_time(make_network):
    placement = place(
        make_network([], 3), replace(LOIHI1, neurons=1, cores=2), chips=None
    )
    axes = Figure().subplots()
    assert plot_placement(placement, axes, chip_number=1) is axes
    assert len(filled(axes)) == 1
    assert "chip 1: 1 of 2 cores" in axes.get_title(loc="left")
    with pytest.raises(ValueError, match="chip_number: got 2, need 0 to 1"):
        plot_placement(placement, chip_number=2)
    with pytest.raises(ValueError, match=r"traffic: got shape \(2, 2\), need"):
        plot_placement(placement, traffic=np.zeros((2, 2)))
