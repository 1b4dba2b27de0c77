"""The exported script gives the reference engine's spikes in real Lava."""

import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_messages, random_network
from isotau.convert.ground.supervision import supervise
from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.spikes import unpack
from isotau.sim.engines import reference
from isotau.targets.on_lava.lava_export import export_lava
from isotau.targets.on_lava.profiles import group_profiles

LIMIT_S = 120
ADAPTERS = """
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
import numpy as np


class PyToNxAdapter(AbstractProcess):
    def __init__(self, *, shape, num_message_bits=0):
        super().__init__(shape=shape)
        print(type(self).__name__, shape, num_message_bits)
        self.inp, self.out = InPort(shape=shape), OutPort(shape=shape)


class NxToPyAdapter(PyToNxAdapter):
    pass


class Passes(PyLoihiProcessModel):
    inp = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self):
        self.out.send(self.inp.recv())


@implements(proc=PyToNxAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ToNx(Passes):
    pass


@implements(proc=NxToPyAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ToPy(Passes):
    pass
"""
CHIP = '''
"""run.py with stand-ins for what lava-loihi brings."""
import sys
import types

import run

run.accept_lava()
import adapters
from lava.magma.core import run_configs

run_configs.CLoihiProcessModel = type("CLoihiProcessModel", (), {})
package = types.ModuleType("lava.proc.embedded_io")
package.spike = adapters
sys.modules["lava.proc.embedded_io"] = package
run.main()
'''


def case(seed, *, bare, largest=40):
    rng = np.random.default_rng([seed, bare, 77])
    n, extreme = int(rng.integers(1, largest + 1)), seed % 2 == 1
    net = random_network(rng, n, extreme=extreme, bare=bare)
    return net, random_messages(rng, net, 60, 1 + seed % 2, extreme=extreme)


def of_profiles(seed):
    """Return a network of few profiles, whose exponents cut sums do not round."""
    rng = np.random.default_rng(seed)
    drawn = random_network(rng, 12, extreme=False, bare=True)
    net = replace(
        drawn,
        du=rng.choice([90, 800], 12),
        dv=rng.choice([60, 300], 12),
        vth=np.full(12, 700),
        blocks=tuple(replace(b, weight_exp=max(b.weight_exp, 0)) for b in drawn.blocks),
    )
    return net, random_messages(rng, net, 60, 1, extreme=False)


def run(folder, *options, script="run.py"):
    """Run a copied script where isotau cannot be imported, and return its spikes."""
    (folder / "elsewhere").mkdir(exist_ok=True)
    (folder / "elsewhere" / "isotau.py").write_text("raise ImportError('none here')")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(folder / "elsewhere")
    try:
        out = folder / "out.npz"
        command = [sys.executable, str(folder / script), "--out", str(out), *options]
        supervise(command, LIMIT_S)
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    with np.load(out) as stored:
        return stored["spikes"]


def expected(net, messages, seed=0):
    return unpack(reference.run(net, messages, seed=seed).spikes.bits, net.n)


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("seed", [2, 3])
def test_the_script_gives_the_spikes(tmp_path, seed, bare):
    net, messages = case(seed, bare=bare)
    ours = expected(net, messages, seed=9)
    assert ours.any() and not ours.all()
    folder = export_lava(net, tmp_path / "new", messages=messages)
    chip = ("loihi1", "loihi2")[seed % 2]
    got = run(folder, "--config", f"{chip}-sim", "--seed", "9")
    np.testing.assert_array_equal(got, ours)


@pytest.mark.lava
@pytest.mark.long
@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("seed", range(4, 28))
def test_random_networks(tmp_path, seed, bare):
    net, messages = case(seed, bare=bare, largest=200)
    folder = export_lava(net, tmp_path / "new", messages=messages)
    chip = ("loihi1", "loihi2")[seed // 2 % 2]
    got = run(folder, "--config", f"{chip}-sim")
    np.testing.assert_array_equal(got, expected(net, messages))


@pytest.mark.lava
@pytest.mark.slow
def test_one_process_for_each_profile_gives_the_same(tmp_path):
    net, messages = of_profiles(1)
    folder = export_lava(net, tmp_path / "new", messages=messages)
    got = run(folder, "--populations", "profiles", "--steps", "50")
    np.testing.assert_array_equal(got, expected(net, messages)[:50])


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("binary", [False, True])
def test_the_way_to_the_chip_with_stand_ins(tmp_path, binary):
    """Adapters that pass on what they get: wiring is tested, the chip is not."""
    net, messages = of_profiles(2)
    blocks = tuple(
        replace(b, binary=True, weight_exp=6) if binary and b.source == "input" else b
        for b in net.blocks
    )
    net = replace(net, blocks=blocks, du=np.linspace(90, 800, 12).round())
    grouped = group_profiles(net, compartments=3)
    folder = export_lava(net, tmp_path / "new", messages=messages, grouped=grouped)
    shared = storage.load(folder / "hardware.npz", FixedPointNetwork)
    ours = expected(shared, messages)
    assert (ours != expected(net, messages)).any()
    stand_in = folder / "stand_in"
    stand_in.mkdir()
    (stand_in / "adapters.py").write_text(ADAPTERS)
    (folder / "chip.py").write_text(
        f"import sys; sys.path.insert(0, {str(stand_in)!r})" + CHIP
    )
    config = "loihi1-hw" if binary else "loihi2-hw"
    got = run(folder, "--config", config, script="chip.py")
    np.testing.assert_array_equal(got, ours)
