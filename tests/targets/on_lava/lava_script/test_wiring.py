"""Which processes are made; what they compute is in tests/conformance."""

import subprocess
import sys

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_network
from isotau.convert.records import storage

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from isotau.targets.on_lava.lava_script.run import accept_lava
accept_lava()
from isotau.targets.on_lava.lava_script.network import profiles, read_network
from isotau.targets.on_lava.lava_script import wiring
net = read_network(Path(sys.argv[1]))
"""


def python(script, net, folder):
    """In a process of its own, as Lava sets how Python starts processes."""
    path = storage.save(net, folder / "net.npz")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + script, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.strip(), done.stderr


@pytest.mark.lava
@pytest.mark.parametrize("bare", [True, False])
def test_one_neuron_process_for_each_profile(tmp_path, bare):
    net = random_network(np.random.default_rng(2), 9, extreme=False, bare=bare)
    out, err = python(
        "first = np.zeros(1, int)\n"
        "made = [wiring.population(net, g, 0, first) for g in profiles(net)]\n"
        "print({type(lif).__name__ for lif in made})\n"
        "print(sum(lif.s_out.size for lif in made))\n"
        "print(sorted(int(lif.du.init) for lif in made))",
        net,
        tmp_path,
    )
    name = "LIFReset" if net.reset_interval else "LIF"
    assert err == ""
    kinds, neurons, du = out.splitlines()
    assert (kinds, neurons) == (str({name if bare else "NoisyLIF"}), "9")
    assert du == str(sorted(net.du.tolist()))


@pytest.mark.lava
def test_without_the_extension_the_error_says_what_to_do(tmp_path):
    net = random_network(np.random.default_rng(2), 9, extreme=False, bare=True)
    silence = "np.zeros((4, net.plain['n_in']), np.int32)"
    given = f"net, {silence}, profiles(net), 'loihi2-hw'"
    out, err = python(
        f"wiring.run_trial({given}, seed=0, trial=0)",
        net,
        tmp_path,
    )
    assert out == ""
    assert err.startswith("run.py: got No module named 'lava.proc.embedded_io', need")
    assert "simulate with --config loihi2-sim" in err
