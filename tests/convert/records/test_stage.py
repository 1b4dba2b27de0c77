"""The stage of a network, and commands that need another one."""

import numpy as np
import pytest

from isotau.convert.records.lif import Ranges
from isotau.convert.records.stage import (
    STAGES,
    need_fixed,
    need_lif,
    need_spiking,
    stage_name,
)
from isotau.convert.to_fixed.quantize import quantize


@pytest.fixture
def fixed(lif_net):
    return quantize(lif_net, Ranges(*np.full((3, 20), 0.01)), input_peak=1.0)


def test_each_stage_has_a_name(rate_net, lif_net, fixed):
    assert [stage_name(net) for net in (rate_net, lif_net, fixed)] == list(STAGES)


def test_a_command_that_needs_a_stage_says_how_to_get_it(rate_net, lif_net, fixed):
    assert need_lif(lif_net, "a") is lif_net and need_fixed(fixed, "a") is fixed
    assert need_spiking(lif_net, "a") is lif_net and need_spiking(fixed, "a") is fixed
    with pytest.raises(ValueError, match="got a rate network, need LIF neuro"):
        need_spiking(rate_net, "a")
    with pytest.raises(ValueError, match="a: got integers already"):
        need_lif(fixed, "a")
    with pytest.raises(ValueError, match="need the chip's integers; use isotau q"):
        need_fixed(lif_net, "a")
    with pytest.raises(ValueError, match="need the chip's integers; use isotau c"):
        need_fixed(rate_net, "a")
