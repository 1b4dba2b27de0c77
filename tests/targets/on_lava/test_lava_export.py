import ast
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_messages, random_network
from isotau.convert.chip import arithmetic
from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.sim.engines import reference
from isotau.targets.on_lava import lava_export
from isotau.targets.on_lava.lava_export import export_lava, for_hardware
from isotau.targets.on_lava.profiles import group_profiles


@pytest.fixture(params=[True, False], ids=["stock", "own"])
def net(request):
    """A network for Lava's own neuron, and one for isotau's."""
    return random_network(
        np.random.default_rng(3), 20, extreme=False, bare=request.param
    )


def own(net):
    return net.noisy


def contents(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_in_the_folder(net, tmp_path):
    folder = export_lava(net, tmp_path / "a" / "b")
    always = {"README.md", "run.py", "network.py", "wiring.py"}
    data = {"network.npz", "messages.npz"}
    neuron = {"noisy_lif/noisy_lif.py", "noise/arithmetic.py", "noise/philox.py"}
    assert contents(folder) == always | data | (
        neuron if own(net) else {"hardware.npz"}
    )
    assert [path.name for path in folder.parent.iterdir()] == ["b"]


def test_the_network_is_the_record_itself(net, tmp_path):
    folder = export_lava(net, tmp_path / "new")
    stored = storage.load(folder / "network.npz", FixedPointNetwork)
    assert storage.same(stored, net)
    if not own(net):
        shared = storage.load(folder / "hardware.npz", FixedPointNetwork)
        assert storage.same(shared, for_hardware(net))


def test_the_copies_need_nothing_of_isotau(net, tmp_path):
    folder = export_lava(net, tmp_path / "new")
    allowed = {"lava", "numpy", "scipy", *sys.stdlib_module_names}
    beside = {name.split("/")[0].removesuffix(".py") for name in contents(folder)}
    beside |= {"noisy_lif", "noise"}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            for name in names:
                assert name.split(".")[0] in allowed | beside, f"{path.name}: {name}"


def test_the_copies_find_one_another(tmp_path):
    drawn = random_network(np.random.default_rng(3), 20, extreme=False)
    folder = export_lava(drawn, tmp_path / "new")
    found = {name: 0 for name in contents(folder) if name.endswith(".py")}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                file = node.module.replace(".", "/") + ".py"
                found[file] = found.get(file, 0) + 1
                top = node.module.split(".")[0]
                assert file in contents(folder) or top not in ("noise", "noisy_lif")
    assert all(found[name] for name in contents(folder) if "/" in name)


def test_the_readme_has_commands_and_findings(net, tmp_path):
    text = (export_lava(net, tmp_path / "new", chip="loihi1") / "README.md").read_text()
    assert "python run.py --config loihi1-sim" in text
    assert ("--config loihi1-hw" in text) is not own(net)
    assert ("noise_exp: got" in text) is own(net)
    assert "need spikes on Loihi 1" in text
    assert net.fingerprint in text


def test_messages_are_kept(net, tmp_path):
    messages = random_messages(np.random.default_rng(1), net, 30, 2, extreme=False)
    folder = export_lava(net, tmp_path / "new", messages=messages)
    with np.load(folder / "messages.npz") as stored:
        np.testing.assert_array_equal(stored["messages"], messages)
        assert stored["messages"].dtype == np.int32


def test_the_example_sends_by_every_channel(net, tmp_path):
    with np.load(export_lava(net, tmp_path / "new") / "messages.npz") as stored:
        messages = stored["messages"]
    assert messages.shape == (200, 1, net.n_in)
    assert (messages.any(axis=(0, 1))).all()
    assert (np.count_nonzero(messages, axis=2) == 1).all()


def test_a_grouping_of_ones_own(tmp_path):
    drawn = random_network(np.random.default_rng(3), 20, extreme=False, bare=True)
    grouped = group_profiles(drawn, compartments=3, thresholds=1)
    folder = export_lava(drawn, tmp_path / "new", grouped=grouped)
    shared = storage.load(folder / "hardware.npz", FixedPointNetwork)
    assert len(np.unique(shared.du)) <= 3
    assert len(np.unique(shared.vth)) == 1


def test_negative_bias_exponents_become_the_same_bias():
    drawn = random_network(np.random.default_rng(3), 20, extreme=False, bare=True)
    net = replace(
        drawn,
        bias_mant=np.linspace(-4000, 4000, 20).round(),
        bias_exp=np.resize([-16, -5, -1, 0, 3], 20),
    )
    shared = for_hardware(net, group_profiles(net, compartments=99, thresholds=99))
    assert shared.bias_exp.min() == 0
    biases = [
        arithmetic.effective_bias(each.bias_mant, each.bias_exp)
        for each in (net, shared)
    ]
    np.testing.assert_array_equal(*biases)
    messages = random_messages(np.random.default_rng(1), net, 50, 2, extreme=False)
    spikes = [reference.run(each, messages).spikes.bits for each in (net, shared)]
    np.testing.assert_array_equal(*spikes)


def test_a_folder_of_isotaus_own_is_written_again(net, tmp_path):
    folder = export_lava(net, tmp_path / "new")
    (folder / "spikes.npz").write_bytes(b"mine")
    other = replace(net, dt=2e-3)
    assert export_lava(other, folder) == folder
    stored = storage.load(folder / "network.npz", FixedPointNetwork)
    assert storage.same(stored, other)
    assert (folder / "spikes.npz").read_bytes() == b"mine"


def test_no_old_file_for_the_chip_stays(tmp_path):
    drawn = random_network(np.random.default_rng(3), 20, extreme=False, bare=True)
    folder = export_lava(drawn, tmp_path / "new")
    export_lava(replace(drawn, noise_exp=9), folder)
    assert not (folder / "hardware.npz").exists()


def test_an_empty_folder_is_filled(net, tmp_path):
    assert (export_lava(net, tmp_path) / "run.py").exists()


def test_a_folder_of_somebody_elses_is_left_alone(net, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(FileExistsError, match=r"folder: got .*, need a new or empty"):
        export_lava(net, tmp_path)
    assert contents(tmp_path) == {"README.md"}
    export_lava(net, tmp_path, overwrite=True)
    assert lava_export.MARK in (tmp_path / "README.md").read_text()


def test_a_failure_leaves_no_folder(net, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(storage, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        export_lava(net, tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_wrong_arguments(net, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="chip: got 'loihi3', need one of loihi1"):
        export_lava(net, tmp_path / "new", chip="loihi3")
    with pytest.raises(ValueError, match=r"messages: got shape \(5, 1, 9\), need"):
        export_lava(net, tmp_path / "new", messages=np.zeros((5, 1, 9)))
    monkeypatch.setattr(lava_export, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match="run: got no source, need isotau's own"):
        export_lava(net, tmp_path / "new")
    assert not list(tmp_path.iterdir())
