"""What is compiled beforehand is what a run of the shipped network calls."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from isotau.convert.ground.supervision import running
from isotau.convert.simulate import lif_kernels
from isotau.jobs import compile_kernels
from isotau.jobs.compile_kernels import (
    BESIDE,
    HERE,
    PARTS,
    Compiling,
    compiling_beside,
    random_network,
)
from isotau.jobs.pipeline import carry
from isotau.jobs.run_config import RunConfig

SHIPPED = Path(__file__).resolve().parents[3] / "examples/data/go_nogo_N200.mat"
FEW = {"trials": 6, "search_trials": 6, "timescale_trials": 3, "lava_trials": 1}
LISTEN = f"""
from numba.core import event
compiled = []
class Listener(event.Listener):
    def on_start(self, started):
        compiled.append(started.data["dispatcher"].__name__)
    def on_end(self, ended):
        pass
event.register("numba:compile", Listener())
from isotau.convert.read.read_rate import read_rate
from isotau.jobs.pipeline import carry
from isotau.jobs.run_config import RunConfig
carry(read_rate({str(SHIPPED)!r}).net, RunConfig(**{FEW!r}), timescales=True)
print(compiled)
"""


def test_the_network_is_alive():
    made = carry(random_network(), RunConfig(**FEW))
    rates = made.stages["lif"].spikes
    assert 0.01 < np.unpackbits(rates.bits).mean() < 0.2


def test_every_part_is_compiled_by_one_of_the_two():
    assert sorted([*HERE, *BESIDE]) == sorted(PARTS)


def test_nothing_is_compiled_where_the_cache_has_it(tmp_path, monkeypatch):
    """Only that the index of one loop is there is looked at, whatever is in it."""
    line = lif_kernels.run_trials.py_func.__code__.co_firstlineno
    (tmp_path / f"lif_kernels.run_trials-{line}.py311.nbi").touch()
    stats = lif_kernels.run_trials.stats._replace(cache_path=str(tmp_path))
    monkeypatch.setattr(type(lif_kernels.run_trials), "stats", stats)
    with compiling_beside() as compiling:
        assert compiling.command is None
        compiling.wait("lif")  # nobody to wait for


def test_where_the_cache_is_empty_a_child_does_half(tmp_path, monkeypatch):
    done = []
    stats = lif_kernels.run_trials.stats._replace(cache_path=str(tmp_path))
    monkeypatch.setattr(type(lif_kernels.run_trials), "stats", stats)
    parts = {name: (lambda name=name: done.append(name)) for name in PARTS}
    monkeypatch.setattr(compile_kernels, "PARTS", parts)
    with compiling_beside() as compiling:
        assert done == list(HERE)
        assert compiling.command is not None
        assert compiling.command.leader.args[-len(BESIDE) :] == list(BESIDE)


def test_parts_are_waited_for_until_they_are_done_or_the_child_is(tmp_path):
    with running(["sleep", "60"]) as command:
        (tmp_path / "lif").touch()
        Compiling(tmp_path, command).wait("lif")
    with running(["true"]) as command:
        Compiling(tmp_path, command).wait("chip")


def test_a_child_leaves_a_file_for_each_part(tmp_path, monkeypatch):
    order = []
    parts = {name: (lambda name=name: order.append(name)) for name in PARTS}
    monkeypatch.setattr(compile_kernels, "PARTS", parts)
    compile_kernels.main([str(tmp_path), *BESIDE])
    assert order == list(BESIDE)
    assert {path.name for path in tmp_path.iterdir()} == set(BESIDE)


@pytest.mark.slow
@pytest.mark.long
def test_a_run_compiles_nothing_more(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "isotau.jobs.compile_kernels"]
    first = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    )
    assert "its loops are compiled" in first.stdout
    then = subprocess.run(
        [sys.executable, "-c", LISTEN],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert then.stdout.strip() == "[]"
