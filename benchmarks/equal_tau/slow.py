"""Up to which slowness does a conversion carry a network, and what limits it?

python -m benchmarks.equal_tau.slow             some minutes on two cores
python -m benchmarks.equal_tau.slow --render    the page, from its .json alone

Networks with known answers: units that are slow themselves, eigenvalues near 1, a ring,
an integrator. States are looked at along the networks' own patterns.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from benchmarks.command import add_page_options, command_parser
from benchmarks.equal_tau.slow_networks import (
    BEFORE,
    CUE,
    DT,
    SlowNetwork,
    agrees,
    cued,
    mode_network,
    ring,
    slow_units,
)
from benchmarks.equal_tau.slow_page import slow_page
from benchmarks.provenance import provenance
from benchmarks.results import write_page, write_results
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.trials import refine, with_silence
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.to_fixed.prepare import prepare
from isotau.convert.to_fixed.quantize import messages
from isotau.convert.to_lif.choice_search import Budget
from isotau.convert.to_lif.conversion import Conversion
from isotau.convert.to_lif.convert_rate import ConvertConfig, convert_rate
from isotau.sim.engines import compiled

COPIES = (1, 4)
FIT, FIT_SECONDS = 60, 2.0
"""Trials of a conversion, and how long each is."""
REST, SETTLE, LENGTH = 60, 6.0, 20.0
"""Trials without input; seconds before the look, and of it."""
CUED, AFTER = 200, 5.0
"""Trials with a cue, and seconds after it."""
SECONDS = 30.0
"""Budget of a conversion."""

NETWORKS: dict[str, Callable[[], SlowNetwork]] = {
    "units": slow_units,
    "modes": mode_network,
    "integrator": partial(mode_network, (10.0,)),
    "ring": ring,
}
Projection = Float64[np.ndarray, "samples trials patterns"]
Stage = Callable[[np.ndarray, int], Projection]
"""Takes inputs in the rate network's steps, and a seed."""


class Ready(NamedTuple):
    """A network at every stage, and how fast its neurons fire."""

    stages: dict[str, Stage]
    conversion: Conversion
    fixed: FixedPointNetwork


def main() -> None:
    """Measure and write the page."""
    parser = command_parser("benchmarks.equal_tau.slow", __doc__)
    add_page_options(parser)
    parser.add_argument("--only", nargs="*", default=list(NETWORKS))
    parser.add_argument("--copies", type=int, nargs="*", default=COPIES)
    options = parser.parse_args()
    if options.render:
        write_page(options.page, "slow", slow_page)
        return
    rows = list(measure_slow(options.only, copies=options.copies))
    content = {"provenance": provenance("benchmarks.equal_tau.slow"), "rows": rows}
    write_results(options.page, "slow", content, slow_page)


def measure_slow(
    names: Sequence[str] = tuple(NETWORKS),
    *,
    copies: Sequence[int] = COPIES,
    seconds: float = SECONDS,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yield what every stage makes of slow networks, pattern by pattern.

    Args:
        names: of `NETWORKS`.
        copies: neurons for each unit.
        seconds: budget of each conversion.
        seed: of everything that is drawn.
    """
    for name in names:
        net = NETWORKS[name]()
        for count in copies:
            ready = _ready(net, count, seconds, seed)
            about = {
                "network": name,
                "copies": count,
                "budget_s": seconds,
                "residual": ready.conversion.residual[-1],
                "swing_mv": 1e3 * (ready.conversion.chosen.swing or 0.0),
                "accuracy": ready.conversion.chosen.accuracy,
            }
            for stage, run in ready.stages.items():
                for row in _looks(net, name, run, seed):
                    yield about | {"stage": stage} | row


def _ready(net: SlowNetwork, copies: int, seconds: float, seed: int) -> Ready:
    """Return a network converted and quantized, by the project's own defaults."""
    fit = cued(net, FIT, FIT_SECONDS, seed + 1)
    conversion = convert_rate(
        net.rate,
        fit,
        score=agrees,
        seed=seed,
        config=ConvertConfig(
            copies=copies, budget=Budget(copies=copies, seconds=seconds)
        ),
    )
    lif, unit = conversion.network, conversion.constants.unit
    every = round(DT / lif.dt)
    shown = with_silence(refine(fit, lif.dt).inputs)
    fixed = prepare(lif, shown, seed=seed, input_peak=float(abs(shown).max())).fixed
    # What x has without a current: biases, and what the fit added to them.
    resting = (lif.v_leak - conversion.constants.v_leak) / unit

    def project(x: np.ndarray) -> Projection:
        by_unit = (x + resting).reshape(*x.shape[:2], net.rate.n, -1)
        return by_unit.mean(axis=3) @ net.patterns.T

    def rate_stage(inputs: np.ndarray, seed: int) -> Projection:
        x = simulate_rate(net.rate, inputs, seed=seed, keep_x=True).x
        assert x is not None
        return x @ net.patterns.T

    def lif_stage(inputs: np.ndarray, seed: int) -> Projection:
        run = simulate_lif(
            lif,
            np.repeat(inputs, every, axis=0),
            seed=seed,
            record=("i",),
            every=every,
            keep_spikes=False,
        )
        assert run.i is not None
        return project(run.i / unit)

    def fixed_stage(inputs: np.ndarray, seed: int) -> Projection:
        sent, state, parts = np.repeat(inputs, every, axis=0), None, []
        # A second at a time: u of all steps would fill the memory.
        for start in range(0, len(sent), 200 * every):
            part = messages(fixed, sent[start : start + 200 * every])
            run = compiled.run(fixed, part, seed=seed, record=("u",), state=state)
            assert run.u is not None
            parts.append(project(run.u[every - 1 :: every] / (fixed.u_per_volt * unit)))
            state = run.state
        return np.concatenate(parts)

    stages = {"rate": rate_stage, "lif": lif_stage, "fixed": fixed_stage}
    return Ready(stages, conversion, fixed)


def _looks(
    net: SlowNetwork, name: str, run: Stage, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield what one stage does: time constants, and what becomes of a cue."""
    if net.diffusion is not None:
        yield _angle(net, run, seed)
        return
    zeros = np.zeros((round((SETTLE + LENGTH) / DT), REST, net.rate.n_in))
    # Again with other noise: what differs is no fault of a stage.
    first, again = (run(zeros, seed + 10 + k)[round(SETTLE / DT) :] for k in range(2))
    kept = _kept(net, run, seed)
    for k, tau in enumerate(net.tau):
        yield {
            "pattern": k,
            "tau": float(tau),
            "measured": mode_tau(first[..., k], tau),
            "again": mode_tau(again[..., k], tau),
            "sd": float(first[..., k].std()),
            "kept": kept[k],
        }


def mode_tau(kappa: Float64[np.ndarray, "samples trials"], tau: float) -> float | None:
    """Return the time constant of a projection at rest, in seconds; None without one.

    From the slope of the log of its autocorrelation over `_lags`, so that what spikes
    add to the first ones does not count.

    Args:
        kappa: the projection, in steps of the rate network.
        tau: that is asked for, in seconds.
    """
    centred = kappa - kappa.mean()
    lags = _lags(tau)
    steps = len(centred)
    covariance = np.array([(centred[k:] * centred[: steps - k]).mean() for k in lags])
    if (covariance <= 0).any():
        return None
    slope = float(np.polyfit(DT * lags, np.log(covariance), 1)[0])
    return -1 / slope if slope < 0 else None


def _lags(tau: float) -> np.ndarray:
    """Return lags, in steps, from a fifth to the whole of a time constant.

    From at most 1 s, and up to at most 4 s.
    """
    ends = min(0.2 * tau, 1.0), min(tau, 4.0)
    return np.unique(np.rint(np.linspace(*ends, 12) / DT).astype(np.int64))


def _kept(net: SlowNetwork, run: Stage, seed: int) -> list[float | None]:
    """Return in which time a cue's trace falls, pattern by pattern, in seconds.

    The trace is the regression of a projection on the cue; its time constant that of
    the fall over `_lags` after it.
    """
    trials = cued(net, CUED, BEFORE + CUE + AFTER, seed + 2)
    kappa = run(trials.inputs, seed + 20)
    direction = trials.inputs[round(BEFORE / DT)]
    power = (direction**2).sum(axis=0)
    trace = (
        np.einsum("tbk,bk->tk", kappa - kappa.mean(axis=1, keepdims=True), direction)
        / power
    )
    end, found = round((BEFORE + CUE) / DT), []
    for k, tau in enumerate(net.tau):
        lags = _lags(tau)
        seen = trace[end + lags, k]
        slope = 0.0
        if (seen > 0).all():
            slope = float(np.polyfit(DT * lags, np.log(seen), 1)[0])
        found.append(-1 / slope if slope < 0 else None)
    return found


def _angle(net: SlowNetwork, run: Stage, seed: int) -> dict[str, Any]:
    """Return how the angle of a ring's bump moves once a cue has chosen it."""
    trials = cued(net, CUED, BEFORE + CUE + AFTER, seed + 2)
    kappa = run(trials.inputs, seed + 20)
    turning = np.unwrap(np.angle(kappa[..., 0] + 1j * kappa[..., 1]), axis=0)
    # From one second after the cue on, when the bump has its height.
    after = turning[round((BEFORE + CUE + 1.0) / DT) :]
    lag = round(0.5 / DT)
    moved = after[lag:] - after[:-lag]
    whole = after[-1] - after[0]
    seconds = (len(after) - 1) * DT
    assert net.diffusion is not None
    return {
        "diffusion": net.diffusion,
        "measured": float((moved**2).mean() / (lag * DT)),
        "moved_deg": float(np.degrees(np.sqrt((whole**2).mean()))),
        "expected_deg": float(np.degrees(np.sqrt(net.diffusion * seconds))),
        "height": float(np.hypot(*np.moveaxis(kappa[-1], 1, 0)).mean()),
    }


if __name__ == "__main__":
    main()
