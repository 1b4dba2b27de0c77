from dataclasses import replace

import numpy as np
import pytest

from isotau.convert.ground.errors import Severity, exit_status
from isotau.targets.on_lava.check_lava import check_lava


@pytest.fixture
def net(make_block, make_network):
    """A network of three neurons about which there is nothing to say."""
    recurrent = make_block(np.full((3, 3), 4))
    inputs = make_block(np.full((3, 1), 4), "input", binary=True)
    return make_network([recurrent, inputs], 3, bias_mant=np.full(3, 90))


def block(net, k, **change):
    blocks = list(net.blocks)
    blocks[k] = replace(blocks[k], **change)
    return replace(net, blocks=tuple(blocks))


def test_nothing_to_say(net):
    assert check_lava(net) == check_lava(net, chip="loihi1") == []


@pytest.mark.parametrize(
    ("change", "severity", "place", "words"),
    [
        ({"noise_exp": 9}, "warning", "noise_exp", "set it to 0 to run there"),
        ({"refractory": [0, 2, 2]}, "warning", "neurons 1-2", "got up to 2 steps"),
        ({"bias_exp": [0, -3, 0]}, "info", "neuron 1", "got -3, need 0 to 7"),
        ({"u0": [0, 0, 5]}, "info", "neuron 2", "need to set it in every trial"),
        ({"v0": [1, 0, 0]}, "info", "neuron 0", "need to set it in every trial"),
        ({"reset_interval": 7}, "info", "reset_interval", "need a LIFReset"),
        ({"w_out": np.ones((1, 3))}, "info", "w_out", "w_out: got 1 outputs"),
        ({"du": [1, 2, 2]}, "info", "du, dv, vth", "got 2 of du, dv and vth"),
    ],
)
def test_findings_of_neurons(net, change, severity, place, words):
    (found,) = check_lava(replace(net, **change))
    assert found.severity.value == severity
    assert found.place.startswith(place)
    assert words in f"{found.message}; {found.action}"


@pytest.mark.parametrize(
    ("k", "change", "chip", "severity", "words"),
    [
        (0, {"delay": 62}, "loihi2", "info", "delay: got 62 further steps"),
        (1, {"binary": False}, "loihi2", "info", "need at most 24 bits"),
        (1, {"binary": False}, "loihi1", "warning", "need spikes on Loihi 1"),
        (0, {"weights": np.zeros((3, 3))}, "loihi2", "info", "got zeros alone"),
    ],
)
def test_findings_of_blocks(net, k, change, chip, severity, words):
    (found,) = check_lava(block(net, k, **change), chip=chip)
    assert (found.severity.value, found.place) == (severity, f"blocks[{k}]")
    assert words in found.message


def test_a_block_cut_into_parts_is_rounded_in_parts(net):
    shifted = block(net, 0, weight_exp=-2)
    assert check_lava(shifted) == []
    found = check_lava(replace(shifted, dv=[1, 2, 3]))
    assert [f.severity.value for f in found] == ["info", "warning"]
    assert found[1].place == "blocks[0]"


def wide(net, n, **registers):
    """Return a network of n neurons without connections."""
    names = ("du", "dv", "vth", "bias_mant", "bias_exp", "refractory", "v_reset")
    sized = {name: np.resize(getattr(net, name), n) for name in (*names, "tau_out")}
    sized |= {name: np.zeros(n) for name in ("u0", "v0", "f0", "population")}
    sized |= {name: np.zeros(n) for name in ("noise_exp", "current_noise_exp")}
    sized |= {"state_scale": np.ones(n), "w_out": np.zeros((1, n)), "blocks": ()}
    return replace(net, **(sized | registers))


def test_too_many_profiles_name_the_loss(net):
    found = check_lava(wide(net, 40, du=100 * np.arange(40), vth=500 + np.arange(40)))
    assert exit_status(found) == 1
    places = [f.place.split(", neuron")[0] for f in found]
    assert places == ["du, dv, refractory", "vth", "tau_syn"]
    assert "got 40 profiles, need at most 32" in found[0].message
    assert "got 40 profiles, need at most 16" in found[1].message
    assert "% (largest)" in found[2].message


def test_more_refractory_periods_than_profiles(net):
    found = check_lava(wide(net, 40, refractory=np.arange(40)))
    places = [f.place for f in found]
    assert places[1:] == ["du, dv, refractory", "profiles"]
    assert "got 40 kinds of neurons" in found[2].message


def test_everything_at_once(net):
    net = replace(net, noise_exp=9, refractory=[1, 1, 1], reset_interval=3)
    found = check_lava(block(net, 0, delay=3), chip="loihi1")
    assert [f.place for f in found] == [
        "noise_exp",
        "neurons 0-2",
        "blocks[0]",
        "reset_interval",
    ]


def test_a_rate_network_comes_first(rate_net):
    (found,) = check_lava(rate_net)
    assert found.severity is Severity.INFO
    assert "isotau convert" in found.action


def test_a_lif_network_says_what_is_foreseen(lif_net):
    found = check_lava(lif_net)
    assert [f.place for f in found] == ["network", "noise_std", "neurons 0-19"]
    quiet = replace(lif_net, noise_std=0.0, refractory=np.zeros(20))
    assert len(check_lava(quiet)) == 1
    slow = replace(quiet, tau_syn=np.where(np.arange(20) == 3, 9.0, 0.01))
    (_, error) = check_lava(slow)
    assert (error.severity, error.place) == (Severity.ERROR, "neuron 3")
    assert "got 9 s, need less than 8.192 s" in error.message


def test_many_time_constants_of_a_lif_network(lif_net):
    n = 40
    twice = {
        name: np.tile(getattr(lif_net, name), 2)
        for name in ("tau_mem", "v_th", "v_leak", "v_reset", "refractory", "noise_std")
    }
    none = {name: np.zeros(0) for name in ("i0", "v0", "f0", "population", "tau_out")}
    none["current_noise_std"] = np.zeros(0)
    net = replace(
        lif_net,
        **twice,
        **none,
        w_rec=np.zeros((n, n)),
        w_in=np.zeros((n, 2)),
        w_out=np.zeros((1, n)),
        b_out=[0.0],
        tau_syn=np.linspace(0.01, 0.1, n),
    )
    assert "got 40 different pairs" in check_lava(net)[1].message
