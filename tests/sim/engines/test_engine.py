"""What all engines have in common: names, arguments, what a run says of itself."""

import dataclasses

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_network
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.chip_state import initial_state
from isotau.convert.records.fixedpoint import WeightBlock
from isotau.sim.engines import compiled, reference, torch_engine
from isotau.sim.engines.engine import ENGINES, engine_named

NET = random_network(np.random.default_rng(0), 6, extreme=False)
NOTHING = np.zeros((4, 2, NET.n_in), dtype=np.int64)
EVERY = pytest.mark.parametrize(
    "engine", [reference.run, compiled.run, torch_engine.run], ids=lambda x: x.name
)


def test_every_name_is_an_engine():
    engines = {"compiled": compiled, "reference": reference, "torch": torch_engine}
    assert {name: engine_named(name) for name in ENGINES} == {
        name: module.run for name, module in engines.items()
    }
    assert {module.run.name for module in engines.values()} == set(ENGINES)


def test_another_name_is_an_error():
    with pytest.raises(ValueError, match="engine: got 'lava', need one of compiled, "):
        engine_named("lava")


@EVERY
def test_what_a_run_says_of_itself(engine):
    run = engine(NET, NOTHING, record=("v",), neurons=[2, 4])
    spikes = run.spikes
    assert (spikes.steps, spikes.batch, spikes.n, spikes.dt) == (4, 2, 6, NET.dt)
    assert (spikes.engine, spikes.network) == (engine.name, NET.fingerprint)
    assert run.u is None and run.overflow is None
    assert (run.v.shape, run.v.dtype) == ((4, 2, 2), np.int32)


@EVERY
def test_spikes_go_to_a_file(engine, tmp_path):
    net = dataclasses.replace(NET, bias_mant=np.full(6, 4000), vth=np.full(6, 100))
    path = tmp_path / "spikes.npy"
    mapped, plain = engine(net, NOTHING, spikes_to=path), engine(net, NOTHING)
    assert plain.spikes.bits.any()
    np.testing.assert_array_equal(mapped.spikes.bits, plain.spikes.bits)
    again = np.load(path, mmap_mode="r", allow_pickle=False)
    np.testing.assert_array_equal(again, plain.spikes.bits)
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_file_of_a_run_that_failed_has_not_its_name(tmp_path):
    def stop(steps, what):
        yield from []
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        reference.run(NET, NOTHING, spikes_to=tmp_path / "spikes.npy", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["spikes.npy.part"]


@pytest.mark.parametrize(
    ("engine", "option", "value"),
    [
        (reference.run, "threads", 2),
        (torch_engine.run, "threads", 2),
        (reference.run, "device", "cpu"),
        (compiled.run, "device", "cuda"),
    ],
)
def test_options_of_other_engines_are_refused(engine, option, value):
    text = f"{option}: got {value!r}, need None for the {engine.name} engine, which"
    with pytest.raises(ValueError, match=text):
        engine(NET, NOTHING, **{option: value})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"messages": np.zeros((4, 2))}, r"messages: got shape \(4, 2\), need 3 axes"),
        ({"messages": np.zeros((4, 2, 9))}, r"messages: got shape \(4, 2, 9\), need"),
        ({"messages": np.full((4, 2, NET.n_in), 2**31)}, "messages: got 2147483648"),
        ({"seed": -1}, "seed: got -1, need 0 to"),
        ({"seed": 2**64}, "seed: got 18446744073709551616, need 0 to"),
        ({"first_trial": -1}, "first_trial: got -1"),
        ({"record": ("w",)}, "record: got 'w', need one of u, v"),
        ({"neurons": [6]}, r"neurons: got 6 at \[0\], need 0 to 5"),
        ({"state": initial_state(NET, 3)}, r"state.u: got shape \(3, 6\), need \(2, 6"),
    ],
)
def test_what_does_not_fit_is_named(change, text):
    with pytest.raises(ValueError, match=text):
        reference.run(NET, **{"messages": NOTHING} | change)


@pytest.mark.parametrize(
    "engine",
    [reference.run, compiled.run, torch_engine.run],
    ids=lambda engine: engine.name,
)
def test_the_first_step_decays_the_start_state(engine):
    """By hand: u·(4096 − du − 1)/4096 and v·(4096 − dv)/4096, cut towards zero."""
    u0, v0 = [-1000, 1000, 5, 0, 8388607, -8388607], [0, -70, 3000, 40000, 1, -1]
    net = dataclasses.replace(
        NET,
        blocks=(),
        noise_exp=None,
        current_noise_exp=0,
        refractory=np.zeros(6),
        du=np.full(6, 99),
        dv=np.full(6, 200),
        vth=np.full(6, 131071),
        bias_mant=np.arange(6),
        bias_exp=np.zeros(6),
        u0=u0,
        v0=v0,
    )
    run = engine(net, np.zeros((1, 3, NET.n_in), dtype=np.int64), record=("u", "v"))
    for k in range(6):
        u = int(u0[k] * 3996 / 4096)
        v = int(v0[k] * 3896 / 4096) + u + k
        for trial in range(3):
            assert (run.u[0, trial, k], run.v[0, trial, k]) == (u, v)


def test_messages_are_whole_numbers():
    with pytest.raises(TypeError, match="messages: got dtype float64, need whole"):
        reference.run(NET, NOTHING + 0.5)


@EVERY
def test_it_tells_of_its_progress(engine):
    passed = []

    def listen(steps, name):
        for step in steps:
            passed.append((name, step))
            yield step

    engine(NET, NOTHING, progress=listen)
    # the compiled engine has strides of steps, of which these four are one
    count = 1 if engine is compiled.run else 4
    assert passed == [(f"{engine.name} engine", step) for step in range(count)]


def test_input_blocks_too_wide_for_exact_sums_are_named():
    many = 2**14 + 1
    block = WeightBlock(
        source="input",
        pre=np.arange(many),
        weights=np.zeros((6, many)),
        weight_exp=0,
        num_weight_bits=8,
        sign_mode=SignMode.EXCITATORY,
    )
    net = dataclasses.replace(NET, blocks=(block,), n_in=many)
    with pytest.raises(ValueError, match=r"blocks\[0\].pre: got 16385 input channels"):
        reference.run(net, np.zeros((1, 1, many), dtype=np.int64))
