from dataclasses import fields

import pytest

from isotau.targets.loihi.limits import LOIHI1_OPERATIONS


@pytest.mark.parametrize("name", [f.name for f in fields(LOIHI1_OPERATIONS)])
def test_figures_are_ranges_with_a_source(name):
    figure = getattr(LOIHI1_OPERATIONS, name)
    assert 0 <= figure.low <= figure.high
    assert "doi:10." in figure.source
    unit = {"j": (0, 1e-9), "s": (0, 1e-5), "w": (0.01, 1)}[name[-1]]
    assert unit[0] < figure.high < unit[1]


def test_the_figures_of_davies_table_2():
    of = LOIHI1_OPERATIONS
    assert of.synapse_j.low == 23.6e-12
    assert (of.silent_update_j.low, of.spiking_update_j.low) == (52e-12, 81e-12)
    assert of.message_j.low == 1.7e-12
    assert (of.hop_east_west_j.low, of.hop_north_south_j.low) == (3e-12, 4e-12)
    assert of.synapse_s.low == 3.5e-9
    assert (of.silent_update_s.low, of.spiking_update_s.low) == (5.3e-9, 8.4e-9)
    assert of.barrier_s.low == 113e-9
