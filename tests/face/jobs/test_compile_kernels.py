"""What is compiled beforehand is what a run of the shipped network calls."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from isotau.jobs.compile_kernels import random_network
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
