"""Networks of every stage from files, and what is refused."""

import dataclasses
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records import storage
from isotau.convert.records.lif import Ranges
from isotau.convert.records.stage import stage_name
from isotau.convert.records.trials import Trials
from isotau.convert.to_fixed.quantize import quantize
from isotau.targets.nir_graph.to_nir import write_nir
from isotau.targets.open_network import open_network

SHIPPED = Path(__file__).resolve().parents[2] / "examples/data/go_nogo_N200.mat"


@pytest.fixture
def fixed(lif_net):
    ranges = Ranges(*np.full((3, 20), 0.01))
    return quantize(lif_net, ranges, input_peak=1.0)


def test_each_stage_opens_as_what_it_is(tmp_path, rate_net, lif_net, fixed):
    for net, name in ((rate_net, "rate"), (lif_net, "lif"), (fixed, "fixed")):
        path = storage.save(net, tmp_path / f"a.{name}.npz")
        opened = open_network(path)
        assert storage.same(opened.net, net)
        assert stage_name(opened.net) == name
        assert opened.description == f"read as: isotau {type(net).__name__}"
    read = open_network(SHIPPED)
    assert stage_name(read.net) == "rate" and "spikeRNN" in read.description


def test_nir_is_known_by_its_content(tmp_path, lif_net):
    net = dataclasses.replace(lif_net, noise_std=0.0, refractory=np.zeros(20))
    path = write_nir(net, tmp_path / "a.nir")
    shutil.copy(path, tmp_path / "a.h5")
    for name in ("a.nir", "a.h5"):
        opened = open_network(tmp_path / name)
        assert storage.same(opened.net, net)
        assert opened.description.startswith("read as: NIR, populations ")
        assert "(20)" in opened.description


def test_what_is_no_network_is_named(tmp_path, rate_net):
    with pytest.raises(UnreadableFile, match=r"none\.npz: no such file"):
        open_network(tmp_path / "none.npz")
    trials = Trials(
        inputs=np.zeros((2, 1, 1)),
        targets=np.zeros((2, 1, 1)),
        mask=np.ones((2, 1), dtype=bool),
        labels=np.zeros(1, dtype=int),
        dt=0.1,
        task="x",
    )
    path = storage.save(trials, tmp_path / "t.npz")
    with pytest.raises(UnreadableFile, match=r"got Trials, need a network \(RateRNN"):
        open_network(path)
    with pytest.raises(UnreadableFile, match="got a folder, need a file"):
        open_network(tmp_path)
    saved = storage.save(rate_net, tmp_path / "a.npz")
    with pytest.raises(UnreadableFile, match="got dt, scheme for a file that is"):
        open_network(saved, dt=0.001, scheme="euler", time_unit=None)
    (tmp_path / "b.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))
    with pytest.raises(UnreadableFile, match=r"b\.h5: not a readable HDF5 file"):
        open_network(tmp_path / "b.h5")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["x"] = 1.0
    with pytest.raises(UnreadableFile, match=r"c\.h5"):
        open_network(tmp_path / "c.h5")
