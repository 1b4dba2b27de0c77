"""Everything that NIR cannot hold is named at once."""

from dataclasses import replace

import numpy as np
import pytest

from isotau.convert.ground.errors import Severity, describe_findings, exit_status
from isotau.convert.records.lif import Ranges
from isotau.convert.to_fixed.quantize import quantize
from isotau.targets.nir_graph.check_nir import check_nir


@pytest.fixture
def plain(lif_net):
    """A network that NIR holds whole."""
    n = lif_net.n
    return replace(
        lif_net,
        v_th=np.full(n, 0.025),
        v_reset=np.zeros(n),
        v0=np.zeros(n),
        v_leak=np.zeros(n),
        refractory=np.zeros(n),
        noise_std=0.0,
    )


@pytest.fixture
def fixed(plain):
    """The same in integers."""
    wide = np.full(plain.n, 0.05)
    return quantize(plain, Ranges(wide, wide, wide), input_peak=1.0)


def test_a_rate_network_is_an_error(rate_net):
    (found,) = check_nir(rate_net)
    assert found.severity is Severity.ERROR
    assert "got a rate network (sigmoid), need spiking neurons" in found.message
    assert "convert it first" in found.action


def test_a_plain_network_has_only_its_decays_explained(plain):
    (found,) = check_nir(plain)
    assert found.severity is Severity.INFO and exit_status([found]) == 0
    assert "exact exponential decays" in found.message


def test_all_that_readers_ignore_is_a_warning(plain):
    n = plain.n
    rest = np.zeros(n)
    rest[[3, 4, 5, 9]] = 0.002
    start = np.where(np.arange(n) == 2, 1e-3, 0.0)
    net = replace(
        plain,
        refractory=rest,
        noise_std=1e-3,
        current_noise_std=start,
        **dict.fromkeys(("i0", "v0", "f0"), start),
    )
    warnings = [f for f in check_nir(net) if f.severity is Severity.WARNING]
    assert [f.place for f in warnings] == [
        "neurons 3-5, 9",
        "neurons 0-19",
        *["neuron 2"] * 4,
    ]
    text = describe_findings(warnings)
    assert "refractory: got up to 2 ms, need 0; kept in the metadata" in text
    assert "noise_std: got noise in the membrane, up to 0.001 V" in text
    assert "current_noise_std: got noise in the synaptic current" in text
    for name in ("i0", "v0", "f0"):
        assert f"{name}: got a start state" in text


def test_another_form_is_information(plain):
    n = plain.n
    net = replace(
        plain,
        v_reset=np.full(n, -0.065),
        v0=np.full(n, -0.065),
        population=np.arange(n) % 2,
    )
    found = check_nir(net)
    assert exit_status(found) == 0
    text = describe_findings(found)
    assert "potentials are written as above v_reset" in text
    assert "neurons 0-19: v_leak: got other than v_reset" in text
    assert "got 2 populations" in text


def test_fixed_point_names_what_integers_do(fixed):
    text = describe_findings(check_nir(fixed))
    assert "warning: integers: got states of 24 bits" in text
    assert "info: inputs: got messages that arrive one step after" in text
    assert "exact exponential decays" in text


def test_fixed_point_without_leak_is_an_error(fixed):
    stuck = replace(fixed, dv=np.zeros(fixed.n, np.uint16), reset_interval=10)
    found = check_nir(stuck)
    assert exit_status(found) == 2
    errors = [f.place for f in found if f.severity is Severity.ERROR]
    assert errors == ["neurons 0-19", "reset_interval"]
