"""Are the chip's engine and Lava the same to the bit? Both run a network at rest.

They draw the same noise. Where every u and every spike are the same, timescales are,
too: nothing has to be estimated.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from isotau.convert.ground import validation
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.spikes import unpack
from isotau.convert.records.weight_form import densified
from isotau.convert.to_fixed.quantize import messages
from isotau.sim.engines import compiled
from isotau.sim.engines.run import Run
from isotau.sim.states import Outcome
from isotau.targets.on_lava.lava_compat import LavaMissing
from isotau.targets.on_lava.to_lava import (
    LavaError,
    LavaJob,
    LavaLoad,
    LavaRun,
    lava_running,
)

TRIALS, SECONDS = 4, 2.0
"""Lava takes a second to start and 1 to 2 ms a step; of 200 neurons, eight trials cost
little more than one."""
TIMEOUT_S = 60.0
"""Ten times what 200 neurons take, beside other work."""
DIFFERENT = "different"
"""The verdict that `Outcome` has not: τ may still be alike."""


class FirstDifference(NamedTuple):
    """Where two runs first differ; all three are counted from 0."""

    trial: int
    step: int
    neuron: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LavaAtRest:
    """How the chip's engine and Lava compare without input, from power-up.

    Attributes:
        neurons: of the network.
        trials: that both run.
        seconds: of a trial.
        steps: of a trial.
        same: whether every u and every spike are the same; False where Lava gave none.
        differing: neurons whose u or spikes are not the same.
        first: where they first differ, the earliest step of all trials; or None.
        most: largest difference of u, in its integers.
        moving: neurons that spike or whose u changes.
        wall_s: from Lava's start until its result was taken, in seconds.
        lacking: why it cannot be told; "" where it can.
    """

    neurons: int
    trials: int
    seconds: float
    steps: int
    same: bool = False
    differing: int = 0
    first: FirstDifference | None = None
    most: int = 0
    moving: int = 0
    wall_s: float = 0.0
    lacking: str = ""

    @property
    def verdict(self) -> str:
        """Return "preserved", "different" or "not identifiable"."""
        if self.lacking:
            return Outcome.NOT_IDENTIFIABLE.value
        return Outcome.PRESERVED.value if self.same else DIFFERENT


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RestingLava:
    """Lava at work on a network without input; see `lava_resting`.

    Attributes:
        fixed: the network that the chip's engine runs.
        load: what both run it on.
        job: Lava's; None where it cannot take the network.
        lacking: why; else "".
    """

    fixed: FixedPointNetwork
    load: LavaLoad
    job: LavaJob | None
    lacking: str = ""

    def finish(self, progress: Progress = silent) -> LavaAtRest:
        """Return the comparison once Lava has ended; its failure is no error here.

        Args:
            progress: is given Lava's steps as they pass.
        """
        if self.job is None:
            return self._compared(lacking=self.lacking)
        try:
            (run,) = self.job.finish(progress)
        except (LavaMissing, LavaError) as error:
            wall_s = time.monotonic() - self.job.started
            return self._compared(wall_s=wall_s, lacking=_reason(error))
        ours = compiled.run(
            self.fixed,
            self.load.messages,
            seed=self.load.seed,
            record=("u",),
            # For the loop that is compiled for a run's stages, not for the counts.
            count_overflow=True,
        )
        return self._compared(wall_s=run.wall_s, **_differences(ours, run))

    def _compared(self, **found: Any) -> LavaAtRest:
        steps = len(self.load.messages)
        return LavaAtRest(
            neurons=self.fixed.n,
            trials=self.load.batch,
            seconds=steps * self.fixed.dt,
            steps=steps,
            **found,
        )


def lava_at_rest(
    fixed: FixedPointNetwork,
    *,
    trials: int = TRIALS,
    seconds: float = SECONDS,
    seed: int = 0,
    timeout_s: float = TIMEOUT_S,
    progress: Progress = silent,
) -> LavaAtRest:
    """Return whether Lava and the chip's engine are the same to the bit without input.

    A Lava that is missing, fails or takes too long is no error: the result says so.

    Args:
        fixed: the network.
        trials: side by side, from power-up.
        seconds: of a trial.
        seed: of the noise, the same in both.
        timeout_s: seconds after which Lava is ended.
        progress: is given Lava's steps as they pass.

    Raises:
        ValueError: no trial, less than a step, a limit that is not positive, or a seed
            that the noise has not.
    """
    with lava_resting(
        fixed, trials=trials, seconds=seconds, seed=seed, timeout_s=timeout_s
    ) as lava:
        return lava.finish(progress)


@contextmanager
def lava_resting(
    fixed: FixedPointNetwork,
    *,
    trials: int = TRIALS,
    seconds: float = SECONDS,
    seed: int = 0,
    timeout_s: float = TIMEOUT_S,
) -> Iterator[RestingLava]:
    """Start Lava as `lava_at_rest` does and give what is to be finished in the context.

    Other work can be done before; the limit counts from here, but a Lava that has ended
    may be asked later. Arguments and errors are those of `lava_at_rest`.
    """
    trials = validation.whole("trials", trials, 1, 1 << 16)
    steps = round(validation.number("seconds", seconds, positive=True) / fixed.dt)
    if steps < 1:
        raise ValueError(
            f"seconds: got {seconds} s, need at least a step of {fixed.dt:g} s"
        )
    silence = np.zeros((steps, trials, fixed.n_shown))
    load = LavaLoad(messages(fixed, silence, seed=seed), seed)
    lacking = ""
    try:
        dense = densified(fixed, "Lava")
    except ValueError as error:  # too large for that
        lacking = str(error)
    if lacking:
        yield RestingLava(fixed=fixed, load=load, job=None, lacking=lacking)
        return
    with lava_running(dense, [load], record=("u",), timeout_s=timeout_s) as job:
        yield RestingLava(fixed=fixed, load=load, job=job)


def sentence(found: LavaAtRest) -> str:
    """Return what was found, for people."""
    shown = f"in {found.trials} trials of {found.seconds:g} s without input"
    if found.trials == 1:
        shown = f"in a trial of {found.seconds:g} s without input"
    if found.lacking:
        return (
            "It cannot be told whether timescales are the same on the chip and in Lava "
            f"({found.lacking})."
        )
    if found.first is None:
        still = found.neurons - found.moving
        but = f", {still} of which do not move," if still else ""
        return (
            "The chip and Lava are the same to the bit: u and spikes of "
            f"{found.neurons} neurons{but} {shown}; timescales are the same."
        )
    by = f"u by up to {found.most}" if found.most else "spikes alone"
    return (
        f"The chip and Lava differ in {found.differing} of {found.neurons} neurons "
        f"{shown}: {by}, first at step {found.first.step} of trial "
        f"{found.first.trial} in neuron {found.first.neuron}."
    )


def numbers(found: LavaAtRest) -> dict[str, Any]:
    """Return what was found, ready for JSON."""
    return {
        "a": "fixed",
        "b": "lava",
        "verdict": found.verdict,
        "lacking": found.lacking,
        "neurons": found.neurons,
        "moving": found.moving,
        "trials": found.trials,
        "length_s": found.seconds,
        "steps": found.steps,
        "same": found.same,
        "differing": found.differing,
        "first": None if found.first is None else found.first._asdict(),
        "most": found.most,
        "wall_s": found.wall_s,
        "sentence": sentence(found),
    }


def _differences(ours: Run, lavas: LavaRun) -> dict[str, Any]:
    """Return the fields of `LavaAtRest` that say how two runs differ."""
    assert ours.u is not None and lavas.u is not None
    n, bits = ours.spikes.n, ours.spikes.bits
    off: Bool[np.ndarray, "steps batch n"] = ours.u != lavas.u
    # The differing ones alone: few or none, of arrays that may be large.
    apart = np.abs(ours.u[off].astype(np.int64) - lavas.u[off])
    off |= unpack(bits ^ lavas.spikes.bits, n)
    differing = int(off.any(axis=(0, 1)).sum())
    first = None
    if differing:
        step, trial, neuron = (
            int(k) for k in np.unravel_index(int(np.argmax(off)), off.shape)
        )
        first = FirstDifference(trial, step, neuron)
    spiking = unpack(np.bitwise_or.reduce(bits, axis=(0, 1)), n)
    moving = int((spiking | (ours.u != ours.u[0, 0]).any(axis=(0, 1))).sum())
    return {
        "same": not differing,
        "differing": differing,
        "first": first,
        "most": int(apart.max(initial=0)),
        "moving": moving,
        # Any two engines are alike where nothing happens.
        "lacking": "" if differing or moving else "nothing moves: noise",
    }


def _reason(error: LavaMissing | LavaError) -> str:
    """Return an error of Lava's in a line: what happened, and the last it wrote."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return "Lava: gave no reason"
    said = ": ".join(dict.fromkeys((lines[0], lines[-1])))
    # Lava's process writes it before its reason; for a person it says nothing.
    return said.removeprefix(f"{type(error).__name__}: ")
