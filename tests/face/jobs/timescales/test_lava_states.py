import json
import os
import time
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_network
from isotau.convert.ground import sparse
from isotau.convert.records.spikes import Spikes, pack, unpack
from isotau.convert.records.weight_form import sparsified
from isotau.jobs.timescales import lava_states
from isotau.jobs.timescales.lava_states import (
    RestingLava,
    lava_at_rest,
    lava_resting,
    numbers,
    sentence,
)
from isotau.sim.engines import reference
from isotau.targets.on_lava.lava_compat import LavaMissing
from isotau.targets.on_lava.to_lava import LavaError, LavaLoad, LavaRun

N, TRIALS, STEPS, SEED = 20, 3, 120, 2**63 + 5
SHOWN = "in 3 trials of 0.12 s without input"


@pytest.fixture(scope="module")
def net():
    """A random network with noise of its own, which spikes without input."""
    drawn = random_network(np.random.default_rng(3), N, extreme=False)
    return replace(drawn, noise_exp=np.full(N, 12), current_noise_exp=np.full(N, 8))


def run_at_rest(net):
    """Return u, and the raster, as the reference engine has them."""
    silence = np.zeros((STEPS, TRIALS, net.n_in), dtype=np.int64)
    run = reference.run(net, silence, seed=SEED, record=("u",))
    return run.u, unpack(run.spikes.bits, N)


class LavaWas:
    """A job of Lava's that has ended with a run, or with an error."""

    def __init__(self, result):
        self.result = result
        self.started = time.monotonic() - 3

    def finish(self, progress):
        if isinstance(self.result, Exception):
            raise self.result
        return [self.result]


def compared(net, result, trials=TRIALS):
    load = LavaLoad(np.zeros((STEPS, trials, net.n_in), dtype=np.int32), SEED)
    return RestingLava(fixed=net, load=load, job=LavaWas(result)).finish()


def lava_run(u, raster):
    spikes = Spikes(bits=pack(raster), n=N, dt=1e-3, engine="lava")
    return LavaRun(spikes, u, None, 2.5)


@pytest.fixture(scope="module")
def lava(net):
    """Real Lava on that network, to be finished as often as one likes."""
    with lava_resting(net, trials=TRIALS, seconds=STEPS * 1e-3, seed=SEED) as lava:
        lava.finish()
        yield lava


@pytest.mark.lava
def test_real_lava_is_the_same_to_the_bit(lava):
    found = lava.finish()
    assert found.same and found.verdict == "preserved" and found.lacking == ""
    assert (found.differing, found.first, found.most) == (0, None, 0)
    assert (found.neurons, found.trials, found.steps) == (N, TRIALS, STEPS)
    assert found.seconds == pytest.approx(0.12)
    assert found.moving == N
    assert 0 < found.wall_s < 60
    assert sentence(found) == (
        "The chip and Lava are the same to the bit: u and spikes of 20 neurons "
        f"{SHOWN}; timescales are the same."
    )


def another_weight(net):
    block = next(b for b in net.blocks if b.source == "recurrent")
    weights = np.array(block.weights)
    # Of the neuron that spikes most.
    counts = run_at_rest(net)[1].sum(axis=(0, 1))
    pre = int(np.argmax(counts[block.pre]))
    weights[np.flatnonzero(weights[:, pre])[0], pre] = 0
    changed = replace(block, weights=weights)
    return replace(net, blocks=[changed if b is block else b for b in net.blocks])


def another_du(net):
    return replace(net, du=net.du + (np.arange(N) == 7))


@pytest.mark.lava
@pytest.mark.parametrize("change", [another_weight, another_du])
def test_the_engine_of_another_network_differs_where_it_does(lava, net, change):
    """From power-up both are alike; who differs, and when first, is counted here."""
    (u, raster), (other_u, other_raster) = map(run_at_rest, (net, change(net)))
    places = [
        (t, trial, neuron)
        for t in range(STEPS)
        for trial in range(TRIALS)
        for neuron in range(N)
        if u[t, trial, neuron] != other_u[t, trial, neuron]
        or raster[t, trial, neuron] != other_raster[t, trial, neuron]
    ]
    step, trial, neuron = places[0]
    found = replace(lava, fixed=change(net)).finish()
    assert not found.same and found.verdict == "different"
    assert found.differing == len({place[2] for place in places})
    assert found.first == (trial, step, neuron)
    assert found.most == np.abs(u.astype(int) - other_u).max() > 0
    if change is another_du:
        assert neuron == 7
    assert sentence(found) == (
        f"The chip and Lava differ in {found.differing} of 20 neurons {SHOWN}: u by "
        f"up to {found.most}, first at step {step} of trial {trial} in neuron {neuron}."
    )


def test_the_first_place_is_the_earliest_of_all_trials(net):
    u, raster = run_at_rest(net)
    for step, trial, neuron, by in ((50, 0, 3, 9), (41, 2, 5, -12), (41, 1, 19, 1)):
        u[step, trial, neuron] += by
    found = compared(net, lava_run(u, raster))
    assert (found.first.trial, found.first.step, found.first.neuron) == (1, 41, 19)
    assert (found.differing, found.most, found.wall_s) == (3, 12, 2.5)
    told = json.loads(json.dumps(numbers(found)))
    assert told["first"] == {"trial": 1, "step": 41, "neuron": 19}
    assert (told["a"], told["b"], told["verdict"]) == ("fixed", "lava", "different")
    assert told["sentence"] == sentence(found)


def test_spikes_alone_make_a_difference(net):
    u, raster = run_at_rest(net)
    raster = raster.copy()
    raster[-1, 2, N - 1] ^= True
    found = compared(net, lava_run(u, raster))
    assert (found.differing, found.most) == (1, 0)
    assert found.first == (2, STEPS - 1, N - 1)
    assert f"1 of 20 neurons {SHOWN}: spikes alone, first at" in sentence(found)


@pytest.mark.parametrize("moving", [0, 1])
def test_where_nothing_moves_nothing_is_known(net, moving):
    """A network of neurons that rest; the first may have noise."""
    noise = np.where(np.arange(N) < moving, 8, 0)
    still = {"bias_mant": 0, "noise_exp": 0, "vth": 100_000}
    changes = {name: np.full(N, value) for name, value in still.items()}
    resting = replace(net, blocks=(), current_noise_exp=noise, **changes)
    found = compared(resting, lava_run(*run_at_rest(resting)))
    assert found.same and found.moving == moving
    assert found.verdict == ("preserved" if moving else "not identifiable")
    words = "20 neurons, 19 of which do not move, in 3" if moving else "moves: noise)."
    assert words in sentence(found)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (LavaMissing("LavaMissing: Lava: got none"), "Lava: got none"),
        (LavaError("Lava: got 1; so\nA\n B: c\n"), "Lava: got 1; so: B: c"),
        (LavaMissing(""), "Lava: gave no reason"),
    ],
)
def test_a_lava_that_fails_is_no_error(net, error, reason):
    found = compared(net, error, trials=1)
    assert not found.same and found.verdict == "not identifiable"
    assert found.lacking == reason
    assert found.wall_s == pytest.approx(3, abs=1)
    assert (found.neurons, found.trials, found.steps) == (N, 1, STEPS)
    assert sentence(found) == (
        "It cannot be told whether timescales are the same on the chip and in Lava "
        f"({reason})."
    )
    told = json.loads(json.dumps(numbers(found)))
    assert (told["same"], told["first"], told["lacking"]) == (False, None, reason)


def test_without_lava(net, tmp_path, monkeypatch):
    tmp_path.joinpath("lava.py").write_text("raise ImportError('none here')")
    others = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{others}")
    found = lava_at_rest(net, trials=1, seconds=0.01)
    assert found.lacking.startswith("Lava: got none here, need lava-nc 0.10.0;")
    assert found.verdict == "not identifiable"


@pytest.mark.lava
def test_a_lava_that_takes_too_long_is_ended(net):
    found = lava_at_rest(net, trials=1, seconds=100, timeout_s=0.2)
    assert found.lacking.startswith("Lava: got no result after 0.2 s, need one")
    assert (found.verdict, found.steps) == ("not identifiable", 100_000)


def test_a_network_too_large_for_lava_does_not_start_it(net, monkeypatch):
    monkeypatch.setattr(sparse, "DENSE_BYTES", 100)
    monkeypatch.setattr(lava_states, "lava_running", None)
    found = lava_at_rest(sparsified(net), trials=2, seconds=0.05)
    assert (found.verdict, found.wall_s) == ("not identifiable", 0)
    assert "need a dense array of" in found.lacking and "for Lava" in found.lacking


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trials": 0}, "trials: got 0, need 1 to 65536"),
        ({"seconds": 0}, r"seconds: got 0\.0, need numbers greater than 0"),
        ({"seconds": 1e-4}, r"seconds: got 0\.0001 s, need at least a step of 0\.001"),
        ({"seed": -1}, "seed: got -1, need 0 to 2"),
        ({"timeout_s": 0}, r"timeout_s: got 0\.0, need numbers greater than 0"),
    ],
)
def test_wrong_arguments_are_refused(net, change, message):
    with pytest.raises(ValueError, match=message):
        lava_at_rest(net, **change)
