"""The measurements of `benchmarks.engine`: interleaved runs, compared bit for bit."""

import importlib
import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine import networks, rivals
from benchmarks.engine.rivals import Measure, Timed
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.storage import save
from isotau.sim.engines import reference
from isotau.sim.engines.run import State

OURS = {
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
SHARES = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)
GROWTH_BATCHES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


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
    found = {}
    for name, module in OURS.items():
        if importlib.util.find_spec(module) is not None:
            found[name] = importlib.import_module(module)
    return found


def ours(
    run: Callable[..., Any], net: FixedPointNetwork, state: State, **options: Any
) -> Measure:
    """Return the measurement of one of our engines."""
    batch = len(state.u)

    def measure(steps: int) -> Timed:
        messages = networks.silence(net, steps, batch)
        begun = time.perf_counter()
        ended = run(net, messages, state=state, **options)
        taken = time.perf_counter() - begun
        bits = ended.spikes.bits
        us = taken / steps / batch * 1e6
        return Timed(us, networks.activity(bits, net.n), bits)

    return measure


def same(what: str, bits: np.ndarray | None, true: np.ndarray | None) -> None:
    """Stop unless two runs gave the same spikes, as far as both went."""
    if bits is None or true is None:
        return
    shared = min(len(bits), len(true))
    if not np.array_equal(bits[:shared], true[:shared]):
        raise SystemExit(f"{what}: spikes differ at n × batch {bits.shape}")


def contenders(
    engines: dict[str, Any],
    library: Any,
    net: FixedPointNetwork,
    batch: int,
    brian2: str | None,
    quick: bool,
) -> list[Contender]:
    """Return all that run one network at one batch."""
    run = next(iter(engines.values())).run
    state = networks.warmed_up(run, net, batch)
    true = ours(reference.run, net, state)(CHECKED).bits
    rows: list[tuple[str, Measure, bool]] = [
        (name, ours(module.run, net, state), True) for name, module in engines.items()
    ]
    if "compiled" in engines:
        rows.append(("compiled, 1 thread", ours(run, net, state, threads=1), True))
    if "compiled" in engines and batch > 1 and net.n in DETAILED:
        noisy = replace(net, noise_exp=9)
        with_noise = ours(run, noisy, state)
        expected = ours(reference.run, noisy, state)(CHECKED).bits
        same("compiled, noise", with_noise(CHECKED).bits, expected)
        chosen = {"record": ("u", "v"), "neurons": np.arange(10)}
        rows += [
            ("compiled, noise", with_noise, True),
            ("compiled, u and v", ours(run, net, state, **chosen), True),
            ("compiled, counting", ours(run, net, state, count_overflow=True), True),
        ]
    if library is not None:
        rows.append(("plain C", rivals.plain_c(library, net, state), True))
    for name, measure, _ in rows:
        if name != "compiled, noise":
            same(name, measure(CHECKED).bits, true)
    rows.append(("Norse", rivals.norse(net, state), False))
    found = [Contender(name, net.n, batch, m, reads) for name, m, reads in rows]
    if batch > 1:
        return found
    if importlib.util.find_spec("lava") is not None:
        found += lava(run, net, quick)
    if brian2 is not None:
        measure = rivals.brian(net, brian2)
        steps = 10000 if net.n <= 200 else 1000
        found.append(Contender("Brian2", net.n, 1, measure, False, steps, 1))
    return found


def lava(
    run: Callable[..., Any], net: FixedPointNetwork, quick: bool
) -> list[Contender]:
    """Return Lava's two rows; spikes that are read must be ours from power-up."""
    warm_up, steps = (60, 100) if quick else (100, 300)
    plain = rivals.lava(net, warm_up, read=False)
    found = [Contender("Lava", net.n, 1, plain, False, steps, 1 if quick else None)]
    if quick and net.n not in DETAILED:
        return found
    read, steps = rivals.lava(net, warm_up, read=True), 60
    true = run(net, networks.silence(net, warm_up + steps, 1)).spikes.bits

    def measure(steps: int) -> Timed:
        timed = read(steps)
        same("Lava", timed.bits, true)
        return timed._replace(bits=None)

    name = "Lava, spikes read"
    return [*found, Contender(name, net.n, 1, measure, True, steps, 1 if quick else 3)]


def interleaved(
    found: list[Contender], repeats: int, budget_s: float
) -> list[dict[str, Any]]:
    """Return a row per contender; they run in turns, each of about the same time."""
    steps = []
    for each in found:
        if each.steps is not None:
            steps.append(each.steps)
            continue
        steps.append(enough(each, budget_s))
    runs: list[list[Timed]] = [[] for _ in found]
    for turn in range(repeats):
        first: np.ndarray | None = None
        for each, taken, count in zip(found, runs, steps, strict=True):
            if turn >= (each.repeats or repeats):
                continue
            time.sleep(PAUSE_S)
            timed = each.measure(count)
            if not each.engine.endswith("noise"):
                same(each.engine, timed.bits, first)
                first = longer(first, timed.bits)
            taken.append(timed._replace(bits=None))
    return [
        {
            "engine": each.engine,
            "n": each.n,
            "batch": each.batch,
            "us_per_trial_step": statistics.median(x.us for x in taken),
            "spikes_read": each.reads,
            "activity": known(taken[0].activity),
            "steps": count,
            "repeats": len(taken),
        }
        for each, taken, count in zip(found, runs, steps, strict=True)
    ]


def enough(each: Contender, budget_s: float) -> int:
    """Return in how many steps a run takes about `budget_s`; the first ones warm up."""
    count = FEWEST_STEPS
    each.measure(count)
    for share in (0.2, 1.0):
        cost_s = each.measure(count).us * each.batch / 1e6
        count = int(np.clip(share * budget_s / cost_s, FEWEST_STEPS, MOST_STEPS))
        if count == FEWEST_STEPS:
            break
    return count


def longer(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    """Return the spikes of more steps."""
    if first is None or second is None:
        return first if second is None else second
    return max(first, second, key=len)


def known(share: float) -> float | None:
    """Return a number as JSON has it."""
    return None if np.isnan(share) else share


def first_calls(folder: Path, net: FixedPointNetwork) -> dict[str, float]:
    """Return how long the compiled engine takes to start, in fresh processes."""
    save(net, folder / "network.npz")
    found = {}
    for when in ("with an empty cache", "from the cache"):
        times = rivals.child(sys.executable, "first_call", folder, {})
        found |= {f"{what} {when}": seconds for what, seconds in times.items()}
    return found


def scaling(run: Callable[..., Any], budget_s: float) -> dict[str, Any]:
    """Return the cost against activity and against batch."""
    busy, batches = [], []
    for n in networks.EXPONENTS:
        for share in SHARES:
            net = networks.network(n, networks.busy(run, n, share))
            state = networks.warmed_up(run, net, 20)
            one = Contender("compiled", n, 20, ours(run, net, state, threads=1), True)
            busy += interleaved([one], 3, budget_s)
    for n in DETAILED:
        net = networks.network(n, networks.busy(run, n))
        for batch in GROWTH_BATCHES:
            state = networks.warmed_up(run, net, batch)
            two = [
                Contender("compiled", n, batch, ours(run, net, state), True),
                Contender("Norse", n, batch, rivals.norse(net, state), False),
            ]
            batches += interleaved(two, 3, budget_s)
    return {"against_activity": busy, "against_batch": batches}


def everything(
    scratch: Path,
    sizes: tuple[int, ...],
    batches: tuple[int, ...],
    *,
    quick: bool,
    growth: bool,
    brian2: str,
) -> dict[str, Any]:
    """Return all rows, the networks, and how long the compiled engine takes to start.

    Args:
        scratch: a folder for what is compiled.
        sizes: numbers of neurons.
        batches: numbers of trials.
        quick: shorter runs and fewer repeats.
        growth: also measure the cost against activity and batch.
        brian2: the Python that may have brian2.
    """
    start = {}
    if importlib.util.find_spec(OURS["compiled"]) is not None:
        start = first_calls(scratch, networks.network(50, 150))
    engines = modules()
    run = next(iter(engines.values())).run
    python = brian2 if not quick and has_brian2(brian2) else None
    library = rivals.compile_c(scratch)
    repeats, budget_s = (3, 0.06) if quick else (5, 0.4)
    rows, used = [], []
    for n in sizes:
        bias = networks.busy(run, n)
        net = networks.network(n, bias)
        bits = run(net, networks.silence(net, 1000, 1)).spikes.bits
        share = networks.activity(bits[networks.WARM_UP :], n)
        used.append({"n": n, "bias": bias, "activity": share})
        if not networks.RANGE[0] < share < networks.RANGE[1]:
            raise SystemExit(f"N = {n}: got activity {share:.3f}, need 0.03 to 0.05")
        for batch in batches:
            found = contenders(engines, library, net, batch, python, quick)
            rows += interleaved(found, repeats, budget_s)
    order = list(dict.fromkeys((r["engine"], r["batch"]) for r in rows))
    rows.sort(key=lambda r: (order.index((r["engine"], r["batch"])), r["n"]))
    more = scaling(run, budget_s / 2) if growth else {}
    return {"networks": used, "rows": rows, "start": start, **more}


def has_brian2(python: str) -> bool:
    """Return whether an interpreter can import brian2."""
    done = subprocess.run(
        [python, "-c", "import brian2"], capture_output=True, check=False
    )
    return done.returncode == 0
