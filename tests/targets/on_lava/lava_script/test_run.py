"""The command line; what it computes is in tests/conformance/test_lava_script.py."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_network
from isotau.convert.records import storage
from isotau.targets.on_lava.lava_script import run


@pytest.fixture
def files(tmp_path):
    """Options that name a network with noise, and its messages."""
    drawn = random_network(np.random.default_rng(2), 9, extreme=False)
    net = dataclasses.replace(drawn, noise_exp=9, current_noise_exp=9)
    storage.save(net, tmp_path / "net.npz")
    np.savez(tmp_path / "in.npz", messages=np.zeros((4, 1, net.n_in), np.int32))
    return [
        "--network",
        str(tmp_path / "net.npz"),
        "--messages",
        str(tmp_path / "in.npz"),
    ]


def test_defaults():
    chosen = run.parse([])
    assert (chosen.config, chosen.seed, chosen.steps) == ("loihi2-sim", 0, None)
    assert chosen.messages == Path(run.__file__).resolve().parent / "messages.npz"
    assert chosen.out == Path("spikes.npz")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            ["--config", "loihi1-hw"],
            "loihi1-hw: got membrane noise .*, noise in the current .*, refractory per",
        ),
        (["--steps", "9"], "--steps: got 9, need 1 to 4"),
        (["--messages", "absent.npz"], "No such file or directory: 'absent.npz'"),
    ],
)
def test_an_error_is_one_line(files, more, words):
    with pytest.raises(SystemExit, match=f"run.py: .*{words}"):
        run.main([*files, *more])


def test_a_file_that_is_no_network(files, tmp_path):
    with pytest.raises(SystemExit, match=r"run\.py: 'isotau'"):
        run.main([*files, "--network", str(tmp_path / "in.npz")])


def test_another_configuration_is_refused(files, capsys):
    with pytest.raises(SystemExit):
        run.main([*files, "--config", "loihi3-sim"])
    assert "invalid choice: 'loihi3-sim'" in capsys.readouterr().err


def test_old_pythons_need_no_help(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    monkeypatch.setitem(sys.modules, "lava", None)
    run.accept_lava()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Lava is imported as it is")
def test_dataclass_is_given_back(monkeypatch):
    monkeypatch.setitem(sys.modules, "lava", None)
    before = dataclasses.dataclass
    with pytest.raises(ImportError, match="lava"):
        run.accept_lava()
    assert dataclasses.dataclass is before


@pytest.mark.lava
def test_lava_imports_after_it():
    """In a process of its own, as Lava sets how Python starts processes."""
    subprocess.run(
        [
            sys.executable,
            "-c",
            "from isotau.targets.on_lava.lava_script.run import accept_lava\n"
            "accept_lava()\n"
            "from lava.proc.lif.process import LIF\n",
        ],
        timeout=60,
        check=True,
    )
