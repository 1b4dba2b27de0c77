from dataclasses import replace

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_network
from isotau.convert.records import storage
from isotau.targets.on_lava.lava_script.network import (
    profiles,
    read_messages,
    read_network,
    refuse,
)


@pytest.fixture
def net():
    drawn = random_network(np.random.default_rng(2), 9, extreme=False, bare=True)
    return replace(drawn, bias_exp=np.zeros(9))


def read(net, folder):
    return read_network(storage.save(net, folder / "net.npz"))


def stored_messages(folder, messages):
    np.savez(folder / "messages.npz", messages=messages)
    return folder / "messages.npz"


def test_a_record_is_read_without_isotau(net, tmp_path):
    got = read(net, tmp_path)
    assert (got.n, got.plain["n_in"], got.plain["dt"]) == (9, net.n_in, net.dt)
    for name in ("du", "dv", "vth", "bias_mant", "bias_exp", "refractory", "u0", "v0"):
        np.testing.assert_array_equal(got.arrays[name], getattr(net, name))
    assert len(got.blocks) == len(net.blocks)
    for block, wanted in zip(got.blocks, net.blocks, strict=True):
        np.testing.assert_array_equal(block["weights"], wanted.weights)
        np.testing.assert_array_equal(block["pre"], wanted.pre)
        for name in ("source", "weight_exp", "num_weight_bits", "delay", "binary"):
            assert block[name] == getattr(wanted, name)
        assert block["sign_mode"] == wanted.sign_mode.value


def test_messages_are_read_up_to_a_step(net, tmp_path):
    messages = np.arange(8 * 2 * net.n_in).reshape(8, 2, net.n_in)
    path, got = stored_messages(tmp_path, messages), read(net, tmp_path)
    np.testing.assert_array_equal(read_messages(path, got, None), messages)
    np.testing.assert_array_equal(read_messages(path, got, 3), messages[:3])
    for steps in (0, 9):
        with pytest.raises(ValueError, match=f"--steps: got {steps}, need 1 to 8"):
            read_messages(path, got, steps)


@pytest.mark.parametrize("shape", [(4, 2), (4, 1, 99)])
def test_messages_of_another_shape(net, tmp_path, shape):
    path, got = stored_messages(tmp_path, np.zeros(shape)), read(net, tmp_path)
    with pytest.raises(
        ValueError, match=r"messages: got shape .*, need steps × trials"
    ):
        read_messages(path, got, None)


@pytest.mark.parametrize(
    ("change", "size", "config", "words"),
    [
        ({"noise_exp": 9}, 1, "loihi2-hw", "membrane noise"),
        ({"refractory": np.ones(9)}, 1, "loihi2-hw", "refractory periods"),
        ({"bias_exp": np.full(9, -1)}, 1, "loihi2-hw", "bias exponents below 0"),
        ({}, 1, "loihi1-hw", "graded input messages"),
        ({}, -(2**31), "loihi2-hw", "messages beyond 24 bits"),
    ],
)
def test_what_a_chip_cannot_run_is_named(net, tmp_path, change, size, config, words):
    got = read(replace(net, **change), tmp_path)
    messages = np.full((2, 1, net.n_in), size)
    with pytest.raises(
        ValueError, match=f"{config}: got {words}.*, need a network with"
    ):
        refuse(got, messages, config)
    refuse(got, messages, config.replace("hw", "sim"))


def test_all_of_it_is_named_at_once(net, tmp_path):
    got = read(replace(net, noise_exp=9, refractory=np.ones(9)), tmp_path)
    with pytest.raises(ValueError, match=r"noise_exp.*refractory.*graded input"):
        refuse(got, np.ones((2, 1, net.n_in)), "loihi1-hw")


def test_spikes_as_input_are_no_matter(net, tmp_path):
    blocks = tuple(replace(b, binary=b.source == "input") for b in net.blocks)
    got = read(replace(net, blocks=blocks), tmp_path)
    for config in ("loihi1-hw", "loihi2-hw"):
        refuse(got, np.full((2, 1, net.n_in), 2**30), config)


def test_neurons_by_profile(net, tmp_path):
    du, dv, vth = [1, 2, 1, 2, 1, 1, 1, 1, 1], [3] * 9, [5, 5, 5, 5, 6, 5, 5, 5, 6]
    got = profiles(read(replace(net, du=du, dv=dv, vth=vth), tmp_path))
    assert [group.tolist() for group in got] == [[0, 2, 5, 6, 7], [4, 8], [1, 3]]
