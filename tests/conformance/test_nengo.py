"""nengo-loihi's emulator takes the reference engine's steps, noise in u or in v.

Its random numbers are others, so it is given ours; where in a step noise is added, and
how it is scaled, is left to it. `ISOTAU_NENGO` names a Python that has nengo-loihi:
its 1.1.0 needs numpy < 2, and so an environment of its own. Skipped without.
"""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from benchmarks.engine.random_networks import unscaled
from isotau.convert.chip import arithmetic
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.chip.philox import MEMBRANE, SYNAPSE, noise_samples
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.sim.engines import reference

ROOT = Path(__file__).parents[2]
CHILD = ROOT / "benchmarks" / "targets" / "run_nengo.py"
STEPS, SEED, N = 400, 2**40 + 7, 60
STREAMS = {"current_noise_exp": SYNAPSE, "noise_exp": MEMBRANE}
AT_MEMBRANE = {"current_noise_exp": 0, "noise_exp": 1}
"""nengo-loihi's `noise_at_membrane`: 1 is the voltage, by its docstring."""


@pytest.fixture(scope="module")
def python() -> str:
    """The interpreter that has nengo-loihi."""
    path = os.environ.get("ISOTAU_NENGO")
    if not path:
        pytest.skip("ISOTAU_NENGO: not set, need a Python that has nengo-loihi")
    found = subprocess.run(
        [path, "-c", "import nengo_loihi"], capture_output=True, text=True
    )
    if found.returncode:
        pytest.skip(f"ISOTAU_NENGO: no nengo-loihi there: {found.stderr[-200:]}")
    return path


class Emulated(NamedTuple):
    """What the emulator did: step × neuron, and draws of its own generator."""

    u: np.ndarray
    v: np.ndarray
    fired: np.ndarray
    drawn: np.ndarray


def network(target: str, exponent: int, seed: int = 0) -> FixedPointNetwork:
    """A network that fires, every third neuron without noise; weights whole, as there.

    Of two thirds excitatory neurons, with refractory periods of 0 to 5 steps.
    """
    rng = np.random.default_rng(seed)
    split = 2 * N // 3
    blocks = tuple(
        WeightBlock(
            source="recurrent",
            pre=np.arange(*ends),
            weights=sign * rng.integers(0, 90, (N, ends[1] - ends[0])),
            weight_exp=exp,
            num_weight_bits=8,
            sign_mode=mode,
        )
        for sign, exp, ends, mode in (
            (1, 0, (0, split), SignMode.EXCITATORY),
            (-1, 1, (split, N), SignMode.INHIBITORY),
        )
    )
    return FixedPointNetwork(
        blocks=blocks,
        n_in=1,
        du=rng.integers(0, 1500, N),
        dv=rng.integers(0, 800, N),
        vth=rng.integers(1000, 4000, N),
        bias_mant=rng.integers(-50, 400, N),
        bias_exp=rng.integers(3, 7, N),
        refractory=rng.integers(0, 6, N),
        **{target: np.where(np.arange(N) % 3, exponent, 0)},
        **({} if target == "noise_exp" else {"noise_exp": np.zeros(N)}),
        **unscaled(N),
    )


def emulate(
    python: str, folder: Path, net: FixedPointNetwork, target: str, own: int = 0
) -> Emulated:
    """Return what the emulator makes of a network with our samples as its draws."""
    trial = np.zeros(1, dtype=np.int64)
    exponent = getattr(net, target)
    np.savez(
        folder / "network.npz",
        du=net.du,
        dv=net.dv,
        bias=arithmetic.effective_bias(net.bias_mant, net.bias_exp),
        threshold=net.vth.astype(np.int64) << arithmetic.INPUT_SHIFT,
        # Its counter also counts the step of the spike.
        refract_delay=net.refractory + 1,
        weights=np.hstack(
            [
                b.weights * 2.0 ** (b.weight_exp + arithmetic.INPUT_SHIFT)
                for b in net.blocks
            ]
        ),
        enable_noise=exponent > 0,
        noise_exp=exponent.max(),
        noise_at_membrane=AT_MEMBRANE[target],
        samples=np.stack(
            [
                noise_samples(SEED, t, trial, net.n, STREAMS[target])[0]
                for t in range(STEPS)
            ]
        ),
        own=own,
    )
    subprocess.run([python, str(CHILD), str(folder)], check=True, timeout=120)
    with np.load(folder / "states.npz") as states:
        return Emulated(**{name: states[name] for name in Emulated._fields})


@pytest.mark.parametrize("exponent", [7, 10, 13])
@pytest.mark.parametrize("target", list(STREAMS))
def test_the_emulator_adds_noise_where_we_do(python, tmp_path, target, exponent):
    """Bit for bit: u gets it with its input, after the decay; v with the bias."""
    net = network(target, exponent)
    theirs = emulate(python, tmp_path, net, target)
    silent = np.zeros((STEPS, 1, 1), dtype=np.int64)
    ours = reference.run(net, silent, seed=SEED, record=("u", "v"))
    assert 0.005 < theirs.fired.mean() < 0.5
    np.testing.assert_array_equal(ours.u[:, 0], theirs.u)
    np.testing.assert_array_equal(ours.v[:, 0], theirs.v)
    # The other target is another network: the flag is not the other way round.
    other = next(name for name in STREAMS if name != target)
    swapped = reference.run(network(other, exponent), silent, seed=SEED, record=("u",))
    assert (swapped.u[:, 0] != theirs.u).any()


@pytest.mark.parametrize("exponent", [1, 4, 7, 10])
def test_its_own_noise_has_our_distribution(python, tmp_path, exponent):
    """The same numbers, as often; below 7 it cuts toward zero where we floor (P7)."""
    net = network("current_noise_exp", exponent)
    drawn = emulate(python, tmp_path, net, "current_noise_exp", own=5000).drawn
    noisy = net.current_noise_exp > 0
    assert not drawn[:, ~noisy].any()
    every = np.arange(-arithmetic.NOISE_MAX, arithmetic.NOISE_MAX + 1)
    theirs = np.trunc(every * 2.0 ** (exponent - 7)).astype(np.int64)
    ours = arithmetic.scale_noise(every, exponent)
    np.testing.assert_array_equal(np.unique(drawn[:, noisy]), np.unique(theirs))
    # Each of the 255 samples as likely as another, in theirs as in ours.
    sd = float(theirs.std()) / np.sqrt(drawn[:, noisy].size)
    assert abs(drawn[:, noisy].mean() - theirs.mean()) < 5 * sd
    assert drawn[:, noisy].std() == pytest.approx(theirs.std(), rel=0.01)
    if exponent >= 7:
        np.testing.assert_array_equal(theirs, ours)
    else:
        # Half a unit less on average, (P7), and never more than one.
        assert set((theirs - ours).tolist()) <= {0, 1}
