"""The measurements of `benchmarks.engine`: interleaved runs, compared bit for bit."""

import importlib
import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine import networks, rivals
from benchmarks.engine.earlier import earlier
from benchmarks.engine.rivals import Measure, Timed
from isotau.convert.records.chip_state import ChipState
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.storage import save
from isotau.sim.engines import reference

ENGINES = {
    "compiled": "isotau.sim.engines.compiled",
    "torch": "isotau.sim.engines.torch_engine",
    "reference": "isotau.sim.engines.reference",
}
CHECKED = 10
"""Steps in which the reference engine must give the same spikes."""
FEWEST_STEPS, MOST_STEPS = 5, 20000
PAUSE_S = 0.02
"""Before a run, so that threads of the one before no longer wait in circles."""
DETAILED = (200, 1000)
"""Sizes at which options are measured too."""
SHARES = (0.001, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.2)
DENSE_BATCH = 128
"""Trials whose spikes are multiplied with all weights at once, at every activity."""
GROWTH_BATCHES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


EARLIER = "compiled, earlier commit"
OTHERS = {
    "Brian2": ("brian2", "run_brian", 10000, 1000),
    "nengo-loihi": ("nengo_loihi", "run_nengo", 1000, 200),
}
"""Simulators for interpreters of their own: what is imported, the module that runs
there, and steps of a run, up to N = 200 and beyond."""


@dataclass(frozen=True)
class Contender:
    """One row to be: what is run, and how many steps if that is not to be chosen."""

    engine: str
    n: int
    batch: int
    measure: Measure
    reads: bool
    """Whether spikes are kept."""
    steps: int | None = None
    repeats: int | None = None


def modules() -> dict[str, Any]:
    """Return the engines that there are."""
    return {
        name: importlib.import_module(module)
        for name, module in ENGINES.items()
        if importlib.util.find_spec(module) is not None
    }


def engine_run(
    run: Callable[..., Any], net: FixedPointNetwork, state: ChipState, **options: Any
) -> Measure:
    """Return the measurement of one of isotau's engines.

    Args:
        run: the engine's function.
        net: the network.
        state: that every run starts from.
        options: of the function, that are measured too.
    """
    batch = len(state.u)

    def measure(steps: int) -> Timed:
        messages = networks.silence(net, steps, batch)
        start = time.perf_counter()
        result = run(net, messages, state=state, **options)
        seconds = time.perf_counter() - start
        bits = result.spikes.bits
        us = seconds / steps / batch * 1e6
        return Timed(us, networks.activity(bits, net.n), bits)

    return measure


def require_same(
    name: str, bits: np.ndarray | None, expected: np.ndarray | None
) -> None:
    """Stop unless two runs gave the same spikes, as far as both went."""
    if bits is None or expected is None:
        return
    steps = min(len(bits), len(expected))
    if not np.array_equal(bits[:steps], expected[:steps]):
        raise SystemExit(f"{name}: spikes differ at n × batch {bits.shape}")


def contenders(
    engines: dict[str, Any],
    library: Any,
    net: FixedPointNetwork,
    batch: int,
    others: dict[str, str],
    quick: bool,
    before: Callable[[FixedPointNetwork, ChipState], Measure] | None,
) -> list[Contender]:
    """Return all that run one network at one batch."""
    run = next(iter(engines.values())).run
    state = networks.warmed_up(run, net, batch)
    # The reference engine is too slow for more than a few steps at this size.
    expected = engine_run(reference.run, net, state)(CHECKED).bits
    rows: list[tuple[str, Measure, bool]] = [
        (name, engine_run(module.run, net, state), True)
        for name, module in engines.items()
    ]
    if "compiled" in engines:
        rows.append(
            ("compiled, 1 thread", engine_run(run, net, state, threads=1), True)
        )
    if "compiled" in engines and batch > 1 and net.n in DETAILED:
        noisy = replace(net, noise_exp=9)
        with_noise = engine_run(run, noisy, state)
        noise_bits = engine_run(reference.run, noisy, state)(CHECKED).bits
        require_same("compiled, noise", with_noise(CHECKED).bits, noise_bits)
        recording = {"record": ("u", "v"), "neurons": np.arange(10)}
        rows += [
            ("compiled, noise", with_noise, True),
            ("compiled, u and v", engine_run(run, net, state, **recording), True),
            (
                "compiled, counting",
                engine_run(run, net, state, count_overflow=True),
                True,
            ),
        ]
    if before is not None and batch > 1 and net.n in DETAILED:
        rows.append((EARLIER, before(net, state), True))
    if library is not None:
        rows.append(("plain C", rivals.plain_c(library, net, state), True))
    for name, measure, _ in rows:
        if name != "compiled, noise":
            require_same(name, measure(CHECKED).bits, expected)
    rows.append(("Norse", rivals.norse(net, state), False))
    entrants = [Contender(name, net.n, batch, m, reads) for name, m, reads in rows]
    # Lava and the others know no batches.
    if batch > 1:
        return entrants
    if importlib.util.find_spec("lava") is not None:
        entrants += lava(run, net, quick)
    for name, python in others.items():
        _, module, many, few = OTHERS[name]
        measure = rivals.elsewhere(net, python, module)
        steps = many if net.n <= 200 else few
        entrants.append(Contender(name, net.n, 1, measure, False, steps, 1))
    return entrants


def lava(
    run: Callable[..., Any], net: FixedPointNetwork, quick: bool
) -> list[Contender]:
    """Return Lava's two rows; spikes that are read must be ours from power-up."""
    warm_up, steps = (60, 100) if quick else (100, 300)
    plain = rivals.lava(net, warm_up, read=False)
    entrants = [Contender("Lava", net.n, 1, plain, False, steps, 1 if quick else None)]
    if quick and net.n not in DETAILED:
        return entrants
    read, steps = rivals.lava(net, warm_up, read=True), 60
    # From power-up, not from the state that the other runs start in.
    expected = run(net, networks.silence(net, warm_up + steps, 1)).spikes.bits

    def measure(steps: int) -> Timed:
        timed = read(steps)
        require_same("Lava", timed.bits, expected)
        return timed._replace(bits=None)

    name = "Lava, spikes read"
    return [
        *entrants,
        Contender(name, net.n, 1, measure, True, steps, 1 if quick else 3),
    ]


def interleaved(
    entrants: list[Contender], repeats: int, budget_s: float
) -> list[dict[str, Any]]:
    """Return a row per contender; they run in turns, each of about the same time."""
    steps = [
        entrant.steps if entrant.steps is not None else enough(entrant, budget_s)
        for entrant in entrants
    ]
    runs: list[list[Timed]] = [[] for _ in entrants]
    for turn in range(repeats):
        longest: np.ndarray | None = None
        for entrant, times, count in zip(entrants, runs, steps, strict=True):
            if turn >= (entrant.repeats or repeats):
                continue
            time.sleep(PAUSE_S)
            timed = entrant.measure(count)
            # All run one network from one state; only noise makes other spikes.
            if not entrant.engine.endswith("noise"):
                require_same(entrant.engine, timed.bits, longest)
                longest = longer(longest, timed.bits)
            # Rasters of all runs at once would fill the memory.
            times.append(timed._replace(bits=None))
    return [
        {
            "engine": entrant.engine,
            "n": entrant.n,
            "batch": entrant.batch,
            "us_per_trial_step": statistics.median(timed.us for timed in times),
            "spikes_read": entrant.reads,
            "activity": finite(times[0].activity),
            "steps": count,
            "repeats": len(times),
        }
        for entrant, times, count in zip(entrants, runs, steps, strict=True)
    ]


def enough(entrant: Contender, budget_s: float) -> int:
    """Return in how many steps a run takes about `budget_s`; the first ones warm up."""
    count = FEWEST_STEPS
    entrant.measure(count)
    # In two strides: what a few steps cost says little of many.
    for share in (0.2, 1.0):
        cost_s = entrant.measure(count).us * entrant.batch / 1e6
        count = int(np.clip(share * budget_s / cost_s, FEWEST_STEPS, MOST_STEPS))
        if count == FEWEST_STEPS:
            break
    return count


def longer(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    """Return the spikes of more steps."""
    if first is None or second is None:
        return first if second is None else second
    return max(first, second, key=len)


def finite(share: float) -> float | None:
    """Return a number as JSON has it, which knows no NaN."""
    return None if np.isnan(share) else share


def first_calls(folder: Path, net: FixedPointNetwork) -> dict[str, float]:
    """Return how long the compiled engine takes to start, in fresh processes."""
    save(net, folder / "network.npz")
    seconds_of: dict[str, float] = {}
    for when in ("with an empty cache", "from the cache"):
        times = rivals.child(sys.executable, "first_call", folder, {})
        seconds_of |= {f"{call} {when}": seconds for call, seconds in times.items()}
    return seconds_of


def scaling(run: Callable[..., Any], budget_s: float) -> dict[str, Any]:
    """Return the cost against activity and against batch."""
    busy, batches = [], []
    for n in networks.EXPONENTS:
        for share in SHARES:
            net = networks.network(n, networks.busy(run, n, share))
            state = networks.warmed_up(run, net, 20)
            # On one thread: a few neurons' spikes are too little work to share out.
            measure = engine_run(run, net, state, threads=1)
            busy += interleaved(
                [Contender("compiled", n, 20, measure, True)], 3, budget_s
            )
    for n in DETAILED:
        net = networks.network(n, networks.busy(run, n))
        for batch in GROWTH_BATCHES:
            state = networks.warmed_up(run, net, batch)
            pair = [
                Contender("compiled", n, batch, engine_run(run, net, state), True),
                Contender("Norse", n, batch, rivals.norse(net, state), False),
            ]
            batches += interleaved(pair, 3, budget_s)
    dense = [
        {"n": n, "us_per_trial_step": dense_product(n, budget_s)}
        for n in networks.EXPONENTS
    ]
    return {"against_activity": busy, "against_batch": batches, "dense": dense}


def dense_product(n: int, budget_s: float) -> float:
    """Return what a product of all weights and spikes costs per trial, in bytes.

    On one thread, of `DENSE_BATCH` trials at a time, in torch's fastest form; it is
    the same at every activity. Neurons, shifts and packing are not in it.
    """
    import torch

    rng = np.random.default_rng(n)
    size = -(-n // 16) * 16
    weights = torch.from_numpy(rng.integers(-128, 128, (size, size), dtype=np.int8))
    spikes = torch.from_numpy(rng.integers(0, 2, (DENSE_BATCH, size), dtype=np.int8))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = []
    until = time.perf_counter() + budget_s
    while time.perf_counter() < until or len(times) < FEWEST_STEPS:
        start = time.perf_counter()
        torch._int_mm(spikes, weights)
        times.append(time.perf_counter() - start)
    torch.set_num_threads(threads)
    return statistics.median(times) / DENSE_BATCH * 1e6


def everything(
    scratch: Path,
    sizes: tuple[int, ...],
    batches: tuple[int, ...],
    *,
    quick: bool,
    growth: bool,
    pythons: Mapping[str, str],
    against: Path | None = None,
) -> dict[str, Any]:
    """Return all rows, the networks, and how long the compiled engine takes to start.

    Args:
        scratch: a folder for what is compiled.
        sizes: numbers of neurons.
        batches: numbers of trials.
        quick: shorter runs and fewer repeats.
        growth: also measure the cost against activity and batch.
        pythons: for each of `OTHERS`, the interpreter that may have it.
        against: a checkout whose engine is measured too.
    """
    # First: what this process compiles would fill the cache that is to be empty.
    start = {}
    if importlib.util.find_spec(ENGINES["compiled"]) is not None:
        start = first_calls(scratch, networks.network(50, 150))
    engines = modules()
    run = next(iter(engines.values())).run
    others = {} if quick else {k: x for k, x in pythons.items() if has_package(k, x)}
    library = rivals.compile_c(scratch)
    repeats, budget_s = (3, 0.06) if quick else (5, 0.4)
    rows, activities = [], []
    for n in sizes:
        bias = networks.busy(run, n)
        net = networks.network(n, bias)
        bits = run(net, networks.silence(net, 1000, 1)).spikes.bits
        # Cost goes with spikes: a network that is busier measures something else.
        share = networks.activity(bits[networks.WARM_UP :], n)
        activities.append({"n": n, "bias": bias, "activity": share})
        if not networks.RANGE[0] < share < networks.RANGE[1]:
            raise SystemExit(f"N = {n}: got activity {share:.3f}, need 0.03 to 0.05")
        for batch in batches:
            with ExitStack() as stack:

                def before(net: FixedPointNetwork, state: ChipState) -> Measure:
                    root = against or scratch
                    return stack.enter_context(earlier(root, scratch, net, state))

                entrants = contenders(
                    *(engines, library, net, batch, others, quick),
                    before if against else None,
                )
                rows += interleaved(entrants, repeats, budget_s)
    order = list(dict.fromkeys((r["engine"], r["batch"]) for r in rows))
    rows.sort(key=lambda r: (order.index((r["engine"], r["batch"])), r["n"]))
    growths = scaling(run, budget_s / 2) if growth else {}
    return {"networks": activities, "rows": rows, "start": start, **growths}


def has_package(name: str, python: str) -> bool:
    """Return whether an interpreter can import one of `OTHERS`."""
    process = subprocess.run(
        [python, "-c", f"import {OTHERS[name][0]}"], capture_output=True, check=False
    )
    return process.returncode == 0
