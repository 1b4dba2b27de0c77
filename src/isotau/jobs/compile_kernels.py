"""Compiles what `isotau run` needs, so that no run has to: `python -m` this module.

numba keeps what it has compiled beside the code, or where NUMBA_CACHE_DIR says. Each of
`PARTS` makes one loop or two run on next to nothing: the compiled loops are chosen by
what a network has, noise or delays, and not by its weights or its size.

numba compiles one loop at a time in a process. Where a run finds its cache empty,
`compiling_beside` has half of the loops compiled by a child process meanwhile.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from isotau.convert.ground.supervision import RunningCommand, running
from isotau.convert.neuron.fi_curve import curve, evaluate
from isotau.convert.neuron.lif_constants import PUBLISHED
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes
from isotau.convert.simulate import lif_kernels
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.simulate.readout import filter_spikes, network_outputs
from isotau.convert.to_fixed.quantize import messages, quantize
from isotau.convert.to_lif.search_lambda import rate_to_lif
from isotau.convert.to_lif.teacher import noise_at_rest
from isotau.sim.timescales.estimators.kim import fit_published

UNITS, EXCITATORY = 200, 160
DENSITY, GAIN = 0.2, 1.5
POLL_S = 0.02


def random_network(seed: int = 0) -> RateRNN:
    """Return a network of Go-NoGo's size and signs that has learned nothing."""
    rng = np.random.default_rng(seed)
    signs = np.where(np.arange(UNITS) < EXCITATORY, 1, -1)
    weights = np.abs(rng.standard_normal((UNITS, UNITS)))
    weights *= rng.random((UNITS, UNITS)) < DENSITY
    # Inhibition balances: neither silence nor saturation, whose rates do not change.
    weights *= np.where(signs > 0, 1.0, EXCITATORY / (UNITS - EXCITATORY))
    return RateRNN(
        w_rec=GAIN * signs * weights / np.sqrt(UNITS * DENSITY),
        w_in=rng.standard_normal((UNITS, 1)),
        w_out=rng.standard_normal((1, UNITS)) / UNITS,
        bias=np.zeros(UNITS),
        b_out=np.zeros(1),
        tau=rng.uniform(0.02, 0.1, UNITS),
        dale=signs,
        activation="sigmoid",
        noise_std=0.1,
        dt=0.005,
    )


INPUTS = np.ones((8, 2, 1))
"""Steps × trials × channel: as few as there may be."""


def _network() -> LIFNetwork:
    """Return a network with noise as `isotau run` has it, in the currents alone."""
    rate = random_network()
    return replace(
        rate_to_lif(rate, inverse_lambda=30.0),
        noise_std=np.zeros(UNITS),
        current_noise_std=PUBLISHED.unit * noise_at_rest(rate),
    )


def _rate() -> None:
    evaluate(curve(PUBLISHED), np.zeros(1))
    simulate_rate(random_network(), INPUTS, seed=0, keep_x=True)


def _readout() -> None:
    lif = _network()
    bits = np.zeros((8, 2, UNITS // 8), np.uint8)
    spikes = Spikes(bits=bits, n=UNITS, dt=lif.dt, engine="none")
    filter_spikes(spikes, tau=lif.tau_syn)
    network_outputs(lif, spikes)


def _published_fit() -> None:
    fit_published(np.exp(-np.arange(1.0, 15.0))[:, None], 0.05, 0.5)


def _lif() -> None:
    simulate_lif(_network(), INPUTS, seed=0)


def _chip() -> None:
    from isotau.sim.engines import compiled

    lif = _network()
    fixed = quantize(lif, simulate_lif(lif, INPUTS, seed=0).ranges, input_peak=1.0)
    compiled.run(fixed, messages(fixed, INPUTS), seed=0, count_overflow=True)


PARTS: dict[str, Callable[[], None]] = {
    "rate": _rate,
    "readout": _readout,
    "published fit": _published_fit,
    "lif": _lif,
    "chip": _chip,
}
HERE, BESIDE = ("rate", "readout", "published fit"), ("lif", "chip")
"""Who compiles what where the cache is empty: about half of the time each."""


@dataclass(frozen=True, slots=True, eq=False)
class Compiling:
    """Loops that a child process compiles.

    Attributes:
        folder: in which it leaves a file for each part that is done.
        command: the process; None where nothing is to be compiled.
    """

    folder: Path
    command: RunningCommand | None = None

    def wait(self, part: str) -> None:
        """Return once a part is in the cache, or will not come there.

        A child that failed is no error: what it leaves out is compiled where it is
        first called, as it would be without a child.
        """
        if self.command is None:
            return
        while not (self.folder / part).exists():
            if self.command.leader.poll() is not None:
                return
            time.sleep(POLL_S)


@contextmanager
def compiling_beside() -> Iterator[Compiling]:
    """Compile what a run needs, if nothing of it is in the cache, and give the rest.

    `HERE` is done when the context begins, `BESIDE` when it is waited for.
    """
    kernel = lif_kernels.run_trials
    cache, function = kernel.stats.cache_path, kernel.py_func
    # Without a place for a cache a child could not hand over anything.
    place = f"{function.__name__}-{function.__code__.co_firstlineno}"
    name = f"{function.__module__.rpartition('.')[2]}.{place}.*nbi"
    if cache is None or any(Path(cache).glob(name)):
        yield Compiling(Path())
        return
    with tempfile.TemporaryDirectory(prefix="isotau-compile-") as scratch:
        with running([sys.executable, "-m", __name__, scratch, *BESIDE]) as command:
            for part in HERE:
                PARTS[part]()
            yield Compiling(Path(scratch), command)


def compile_parts(names: Sequence[str], folder: Path | None = None) -> None:
    """Compile some of `PARTS`, and leave a file of each one's name in a folder."""
    for name in names:
        PARTS[name]()
        if folder is not None:
            (folder / name).touch()


def main(arguments: Sequence[str]) -> None:
    """Compile everything, or, for a folder and names, what a run asks for."""
    if arguments:
        compile_parts(arguments[1:], Path(arguments[0]))
        return
    start = time.perf_counter()
    compile_parts(list(PARTS))
    seconds = time.perf_counter() - start
    sys.stdout.write(f"isotau: its loops are compiled ({seconds:.0f} s)\n")


if __name__ == "__main__":
    main(sys.argv[1:])
