"""Networks told from recordings, measured, said in a sentence, and left as a table."""

import csv
import dataclasses
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.read.read_spikernn import write_spikernn
from isotau.convert.records import storage
from isotau.convert.records.spikes import Spikes
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.quantize import quantize
from isotau.jobs.timescales.measure_networks import (
    OF_NETWORKS,
    OF_RECORDINGS,
    MeasuredNetwork,
    NetworkRequest,
    OpenedNetwork,
    assumptions,
    by_kind,
    check_options,
    is_network,
    measure_networks,
    open_networks,
    sentence,
    write,
)
from isotau.sim.recorded import from_trials, write_arrays
from isotau.sim.states import StateBudget, Switching
from isotau.sim.states.measure_network import measure_states

DATA = Path(__file__).resolve().parents[4] / "examples" / "data"
ONCE = StateBudget(seconds=0)
TAU = np.array([0.03, 0.04, 0.05, 0.06])


@pytest.fixture
def neurons(silent_neurons):
    return silent_neurons(TAU)


@pytest.fixture
def files(tmp_path, neurons, rate_net) -> dict[str, Path]:
    """The same kinds as commands leave them."""
    ranges = simulate_lif(neurons, np.zeros((300, 5, 1)), seed=0).ranges
    fixed = quantize(neurons, ranges, input_peak=0.0)
    nets = {"rate": rate_net, "lif": neurons, "fixed": fixed}
    return {
        name: storage.save(net, tmp_path / f"net.{name}.npz")
        for name, net in nets.items()
    }


def plain(net, path):
    np.savez(path, w_rec=net.w_rec, w_in=net.w_in, w_out=net.w_out, tau=net.tau)
    return path


def recording(path):
    return write_arrays(from_trials([[np.array([0.5])] * 3], window=(0, 1)), path)


def opened(path, request=None, **assumed):
    (found,) = open_networks([path], request or NetworkRequest(budget=ONCE), assumed)
    return found


def test_networks_of_every_kind_are_told(files, tmp_path, rate_net, low_rank_file):
    sigmoid = dataclasses.replace(rate_net, bias=np.zeros(rate_net.n))
    networks = [
        *files.values(),
        plain(rate_net, tmp_path / "plain.npz"),
        write_spikernn(sigmoid, tmp_path / "trained.mat"),
        low_rank_file,
    ]
    assert all(is_network(path) for path in networks)
    assert by_kind(networks) == ([], networks)


def test_recordings_are_none(tmp_path):
    bits = np.zeros((100, 5, 1), dtype=np.uint8)
    spikes = Spikes(bits=bits, n=8, dt=1e-3, engine="test")
    np.savez(tmp_path / "counts.npz", counts=np.ones((3, 2, 40)), bin_width=0.025)
    savemat(tmp_path / "cell.mat", {"MatData": {"class": {"ntr": {"TS": [0.1]}}}})
    with h5py.File(tmp_path / "session.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.8.0"
    with h5py.File(tmp_path / "cell7.mat", "w", userblock_size=512) as file:
        file.create_dataset("MatData", data=np.zeros(3))
    recordings = [
        recording(tmp_path / "cells.npz"),
        storage.save(spikes, tmp_path / "lif.spikes.npz"),
        tmp_path / "counts.npz",
        tmp_path / "cell.mat",
        tmp_path / "session.nwb",
        tmp_path / "cell7.mat",
        tmp_path,  # a folder
    ]
    assert not any(is_network(path) for path in recordings)
    assert by_kind(recordings) == (recordings, [])


def test_what_nothing_reads_is_left_to_the_readers_of_recordings(tmp_path):
    """Which say what they need, as they did before there were networks."""
    (tmp_path / "a.txt").write_bytes(b"junk" * 50)
    assert not is_network(tmp_path / "a.txt")
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.8.0"
    damaged = (tmp_path / "a.nwb").read_bytes()[:200]
    (tmp_path / "b.nwb").write_bytes(damaged)
    assert not is_network(tmp_path / "b.nwb")


def test_files_that_cannot_be_looked_into_are_refused(tmp_path):
    with pytest.raises(UnreadableFile, match=r"absent\.npz: no such file"):
        is_network(tmp_path / "absent.npz")
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04junk")
    with pytest.raises(UnreadableFile, match=r"a\.npz: File is not a zip file"):
        is_network(tmp_path / "a.npz")


def test_a_format_of_networks_alone_is_one(tmp_path):
    """As ONNX is: its reader says what is wrong with the file."""
    (tmp_path / "a.onnx").write_bytes(b"\x08junk")
    assert is_network(tmp_path / "a.onnx")
    with pytest.raises(UnreadableFile, match=r"a\.onnx"):
        opened(tmp_path / "a.onnx")


def test_a_nir_graph_is_refused():
    with pytest.raises(ValueError, match="got a NIR graph, whose neurons have no no"):
        is_network(DATA / "letters_snntorch.nir")


def test_options_go_with_their_kind(tmp_path):
    net, cells = tmp_path / "net.npz", tmp_path / "cells.npz"
    check_options(["--epoch", "--out", "--seed", "--dt-ms"], [], [net])
    check_options(["--epoch", "--out", "--method", "--two"], [cells], [])
    check_options(["--epoch", "--out"], [cells], [net])
    check_options(OF_NETWORKS, [], [])
    for option in OF_RECORDINGS:
        with pytest.raises(ValueError, match=f"^{option}: got .*net.npz, a network, n"):
            check_options([option], [cells], [net])
    for option in OF_NETWORKS:
        with pytest.raises(ValueError, match=f"^{option}: got .*cells.npz, recorded n"):
            check_options([option], [cells], [net])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"observable": "speed"}, "observable: got 'speed', need one of state"),
        ({"epoch": "sleep"}, "epoch: got 'sleep', need one of rest"),
        ({"task": "sleep"}, "task: got 'sleep', need one of go-nogo"),
        ({"epoch": "delay"}, "epoch: got delay without a task, need .* with --task"),
        ({"seed": -1}, "seed: got -1"),
    ],
)
def test_requests_are_checked(fields, message):
    with pytest.raises(ValueError, match=message):
        NetworkRequest(**fields)


def test_networks_are_read_with_what_is_assumed(files, tmp_path, rate_net):
    path = plain(rate_net, tmp_path / "plain.npz")
    found = opened(path, dt=0.005, activation="tanh", noise_std=0.2)
    assert found.net.noise_std == 0.2 and found.net.activation == "tanh"
    both = [found, opened(files["lif"])]
    (text,) = assumptions(both)
    assert text.startswith("read as: plain .npz") and "0.2" in text
    assert both[1].assumed is None and both[1].net.n == len(TAU)
    with pytest.raises(ValueError, match=r"net\.lif\.npz: got dt, need no assumption"):
        opened(files["lif"], dt=0.001)
    with pytest.raises(ValueError, match=r"net\.rate\.npz: got dt, need isotau"):
        opened(files["rate"], dt=0.001)


def test_networks_are_named_as_their_files(files, tmp_path, rate_net):
    paths = [files["rate"], files["lif"]]
    found = open_networks(paths, NetworkRequest(), {})
    assert [each.label for each in found] == ["net.rate.npz", "net.lif.npz"]
    assert [each.name for each in found] == ["net", "net.lif"]
    (tmp_path / "b").mkdir()
    other = storage.save(rate_net, tmp_path / "b" / "net.rate.npz")
    found = open_networks([files["rate"], other], NetworkRequest(), {})
    assert [each.label for each in found] == [f"{tmp_path.name}/net", "b/net"]
    with pytest.raises(ValueError, match="got this file twice"):
        open_networks([other, other], NetworkRequest(), {})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"observable": "kappa"}, "got kappa for a network without factors"),
        ({"task": "go-nogo"}, r"network: got 2 inputs.*need 1 input, 1 output for go-"),
        ({"task": "mante", "epoch": "after"}, "need 4 inputs, 1 output for mante"),
    ],
)
def test_networks_that_do_not_fit_are_named_before_any_work(files, fields, message):
    path = files["rate"]
    with pytest.raises(ValueError, match=rf"net\.rate\.npz: .*{message}"):
        open_networks([path], NetworkRequest(**fields), {})


def test_steps_that_do_not_fit_the_task_are_named(silent_neurons):
    net = silent_neurons(TAU, dt=0.0075)
    request = NetworkRequest(epoch="after", task="go-nogo", budget=ONCE)
    one = OpenedNetwork("slow", "slow.lif.npz", net, None)
    with pytest.raises(ValueError, match=r"slow\.lif\.npz: dt: got 0\.0075 s, need a"):
        list(measure_networks([one], request))


@pytest.mark.parametrize("kind", ["rate", "lif", "fixed"])
def test_files_are_measured_and_left_as_tables(files, kind, tmp_path):
    request = NetworkRequest(budget=ONCE, seed=3)
    (found,) = measure_networks([opened(files[kind])], request)
    alone = measure_states(storage.load(files[kind]), budget=ONCE, seed=3)
    np.testing.assert_array_equal(found.states.tau.tau, alone.tau.tau)
    path = write(found, tmp_path / "out")
    assert path.name == ("net" if kind == "rate" else f"net.{kind}") + ".states.csv"
    settings, *lines = path.read_text(encoding="utf-8").splitlines()
    said = json.loads(settings.removeprefix("# "))
    assert said == {
        "isotau": "MeasuredStates", "format": 1, "file": f"net.{kind}.npz",
        "observable": "state", "epoch": "rest", "task": None, "seed": 3, "trials": 40,
        "length_s": 4.0, "window_s": pytest.approx(1.995), "memory_states": 1,
        "memory_switches": 0, "memory_dwell_s": None,
    }  # fmt: skip
    rows = list(csv.DictReader(lines))
    assert list(rows[0]) == list(alone.columns())
    assert [float(row["tau_s"]) for row in rows] == alone.tau.tau.tolist()
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["oscillating"] for row in rows} <= {"True", "False"}


def test_the_sentence_has_the_numbers(neurons):
    found = measured(neurons)
    tau = 1e3 * found.states.tau.tau
    low, middle, high = np.percentile(tau, (25, 50, 75))
    assert sentence(found) == (
        f"net.lif.npz: states of 4 of 4 units have a timescale: median {middle:.3g} ms "
        f"(quartiles {low:.0f}–{high:.0f}), at rest, 40 trials of 4 s."
    )


def measured(net, **fields):
    request = NetworkRequest(budget=ONCE, **fields)
    one = OpenedNetwork("net", "net.lif.npz", net, None)
    (found,) = measure_networks([one], request)
    return found


def changed(found: MeasuredNetwork, **fields) -> str:
    return sentence(found._replace(states=dataclasses.replace(found.states, **fields)))


def test_what_else_was_found_is_said(neurons, silent_neurons):
    found = measured(neurons)
    shape = found.states.shape
    for count, words in ((1, "1 unit oscillates"), (3, "3 units oscillate")):
        fast = dataclasses.replace(
            shape, oscillating=np.arange(4) < count, frequency=np.full(4, 8.13)
        )
        assert f"; {words} (median 8.1 Hz)." in changed(found, shape=fast)
    memory = Switching(states=2, switches=20, seconds=100.0)
    low, high = memory.interval()
    assert f"; 2 memory states, kept for 5 s ({low:.3g}–{high:.3g})." in changed(
        found, memory=memory
    )
    kept = Switching(states=3, switches=0, seconds=100.0)
    assert "; 3 memory states, kept for more than 27.1 s." in changed(
        found, memory=kept
    )
    noise = np.array([1e-3, 1e-3, 0.0, 0.0])
    slow = silent_neurons(np.array([0.04, 30.0, 0.05, 0.05]), current_noise_std=noise)
    said = sentence(measured(slow))
    assert "states of 1 of 4 units have a timescale: median" in said
    assert said.endswith("; 1 unit remembers for longer than 2 s; 2 units do not move.")
    none = sentence(measured(silent_neurons(TAU, current_noise_std=0.0)))
    assert none == (
        "net.lif.npz: states of 0 of 4 units have a timescale, at rest, 40 trials of "
        "4 s; 4 units do not move."
    )


def test_long_timescales_are_whole_milliseconds(neurons):
    found = measured(neurons)
    tau = dataclasses.replace(found.states.tau, tau=np.full(4, 1.2345))
    assert "median 1234 ms (quartiles 1234–1234)" in changed(found, tau=tau)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"observable": "rate"}, "rates of 24 of 24 units have a timescale"),
        (
            {"observable": "output", "epoch": "delay", "task": "dms-750"},
            "values of 1 of 1 outputs have a timescale",
        ),
        ({"epoch": "delay", "task": "dms-750"}, ", in the delay of dms-750, 40 trial"),
        ({"epoch": "fixation", "task": "xor"}, ", in the fixation of xor, 40 trials"),
        ({"epoch": "after", "task": "xor"}, ", after the stimuli of xor, 40 trials"),
    ],
)
def test_what_was_watched_is_said(rate_net, fields, words):
    assert words in sentence(measured(rate_net, **fields))


def test_modes_have_timescales(low_rank_file):
    request = NetworkRequest(observable="kappa", budget=ONCE)
    (found,) = measure_networks([opened(low_rank_file, request)], request)
    assert "κ of 1 of 1 modes have a timescale" in sentence(found)
