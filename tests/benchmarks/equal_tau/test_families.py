"""Which networks are carried, and what folders are refused."""

import shutil

import pytest

from benchmarks.equal_tau.families import files, shipped, trained
from benchmarks.repository import NETWORKS


def test_a_folder_of_networks_bears_the_name_of_its_task(tmp_path):
    folder = tmp_path / "mante"
    folder.mkdir()
    for k in range(3):
        shutil.copy(NETWORKS / "mante_N250.rate.npz", folder / f"net_{k:03d}.rate.npz")
    networks = trained(folder, train=False, most=2)
    assert [(x.family, x.name, x.task) for x in networks] == [
        ("mante", "net_000", "mante"),
        ("mante", "net_001", "mante"),
    ]


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match="got a folder 'weather', need one called"):
        trained(tmp_path / "weather", train=False, most=None)
    with pytest.raises(ValueError, match=r"got no \*.rate.npz .* give --train"):
        trained(tmp_path / "mante", train=False, most=None)


def test_a_file_can_say_its_task(tmp_path):
    path = NETWORKS / "go_nogo_N200.mat"
    *_, named = files([f"go-nogo={path}"])
    *_, chosen = files([str(path)])
    assert named == chosen
    assert (named.family, named.task) == ("files", "go-nogo")
    with pytest.raises(ValueError, match="need 4 inputs"):
        files([f"mante={path}"])


def test_those_that_come_along_are_there():
    assert all(network.path.exists() for network in [*shipped(), *files([])])
