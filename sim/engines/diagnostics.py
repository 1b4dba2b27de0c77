"""What went wrong on the chip in a run, and which parameter to change.

Where v saturates at the top the neuron spikes anyway, as vth·2^6 ≤ 2^23 − 64, and the
reset takes what was cut: `v_high` is information. What wraps, and what is cut at the
bottom, changes the dynamics: these are errors.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from isotau.convert.chip import arithmetic
from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.sparse import column_counts
from isotau.convert.records.chip_state import ChipState, initial_state
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.spikes import Spikes, unpack
from isotau.convert.to_fixed.quantization_report import (
    QuantizationReport,
    far_neurons,
)
from isotau.sim.engines.run import STRICT, Overflow, Run, errors_of

SATURATED = 0.95
"""Fraction of the highest possible spike count that makes a neuron saturated."""
CHUNK = 1 << 24
"""Spikes unpacked at a time."""
_SCALE = ("state_scale", "lower state_scale or raise headroom")
_FINER = ("weight_exp", "raise num_weight_bits or clip the block's largest weights")
_KINDS: dict[str, tuple[str, str, str, str]] = {
    "sum_wraps": (
        "error",
        "the synaptic sum left 32 bits and wrapped",
        "weight_exp",
        "lower weight_exp or send smaller messages",
    ),
    "u_wraps": ("error", "u left 24 bits and wrapped", *_SCALE),
    "v_low": ("error", "v was cut at −(2^23 − 1)", *_SCALE),
    "tau_far": (
        "error",
        "no decay register is within 5 % of a time constant",
        "du",
        "take a longer step (dt); `tau_missed` of the quantization report has what was "
        "asked for and what the register holds",
    ),
    "bias_low": (
        "warning",
        "the bias alone takes v below −(2^23 − 1)",
        "bias_mant",
        "raise bias_mant or dv, or lower bias_exp",
    ),
    "bias_fires": (
        "warning",
        "the bias of one step exceeds the threshold",
        "bias_mant",
        "lower bias_mant or raise vth",
    ),
    "dead": (
        "warning",
        "no spike was fired",
        "vth",
        "lower vth, raise bias_mant, or run more trials",
    ),
    "saturated": (
        "warning",
        "almost every step that the refractory period leaves had a spike",
        "vth",
        "raise vth or refractory, or lower bias_mant",
    ),
    "empty_columns": ("warning", "columns of weights are zero throughout", *_FINER),
    "zeroed": ("warning", "weights were rounded to zero", *_FINER),
    "v_high": (
        "info",
        "v was cut at 2^23 − 1 before the spike and reset that follow",
        "vth",
        "nothing need be done",
    ),
}
"""Severity, what happened, parameter and remedy, in the order of `findings`."""
_OF_WEIGHTS = ("empty_columns", "zeroed")


class EngineWarning(UserWarning):
    """A run whose numbers left their range, or whose neurons say little."""


class ChipOverflow(ArithmeticError):
    """A number left its range in a run that was to be strict; it can be pickled."""

    def __init__(self, kind: str, trial: int, step: int, neuron: int) -> None:
        """Keep what happened where.

        Args:
            kind: one of `STRICT`; v_high is none, as the neuron spikes anyway.
            trial: number of the trial, counted from the engine's `first_trial`.
            step: number of the step since power-up.
            neuron: index of the neuron.
        """
        super().__init__(validation.choice("kind", kind, STRICT), trial, step, neuron)
        self.kind, self.trial, self.step, self.neuron = kind, trial, step, neuron

    def __str__(self) -> str:
        """Return which parameter is to blame, what happened where, and the remedy."""
        _, happened, parameter, remedy = _KINDS[self.kind]
        place = f"trial {self.trial}, step {self.step}, neuron {self.neuron}"
        return f"{parameter}: {happened} at {place}; {remedy}"


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Diagnostics:
    """What a run of a network shows, per neuron.

    Attributes:
        trials, steps: how much was run.
        sum_wraps, u_wraps, v_low, v_high: as in `Overflow`.
        bias_low: whether the bias alone takes v below its range.
        bias_fires: whether the bias of one step exceeds the threshold, so that the
            neuron fires at its highest rate without input.
        spikes: number of spikes.
        dead: whether it never fired in any trial.
        saturated: whether it fired at `SATURATED` of its highest rate or more, which is
            a spike every refractory + 1 steps; false where no second spike has room.
        empty_columns: sources all of whose weights are zero, per block.
        zeroed: weights that quantization rounded to zero, None if unknown.
        tau_far: whether a register misses a time constant of its neuron by more than
            `TAU_CLOSE`, None if unknown.
    """

    trials: int
    steps: int
    sum_wraps: Int64[np.ndarray, " n"]
    u_wraps: Int64[np.ndarray, " n"]
    v_low: Int64[np.ndarray, " n"]
    v_high: Int64[np.ndarray, " n"]
    bias_low: Bool[np.ndarray, " n"]
    bias_fires: Bool[np.ndarray, " n"]
    spikes: Int64[np.ndarray, " n"]
    dead: Bool[np.ndarray, " n"]
    saturated: Bool[np.ndarray, " n"]
    empty_columns: Int64[np.ndarray, " blocks"]
    zeroed: int | None = None
    tau_far: Bool[np.ndarray, " n"] | None = None


class RunFinding(NamedTuple):
    """One thing that a user should know.

    Attributes:
        kind: the field of `Diagnostics` that shows it.
        severity: "error", "warning" or "info".
        parameter: what to change; `remedy` says how.
        neurons: how many neurons it concerns; 0 for weights.
        events: how often it happened, or to how many weights; 0 for a property.
        text: all of this in a sentence, with the neuron that shows it most.
    """

    kind: str
    severity: str
    parameter: str
    remedy: str
    neurons: int
    events: int
    text: str


def diagnose(
    net: FixedPointNetwork, run: Run, *, report: QuantizationReport | None = None
) -> Diagnostics:
    """Return what a run with counted overflows shows of its network.

    Raises:
        ValueError: `run` has no counts, or comes from another network.
    """
    if run.overflow is None:
        raise ValueError(
            "run.overflow: got None, need counts; run with count_overflow=True"
        )
    # Counts of other neurons would be laid to these.
    if run.spikes.network != net.fingerprint:
        raise ValueError(
            "run: got another network's, need that of net; give the network that ran"
        )
    steps, batch, fired = run.spikes.steps, run.spikes.batch, _counts(run.spikes)
    bias = arithmetic.effective_bias(net.bias_mant, net.bias_exp)
    # The deeper v, the more decays: a bias that leaves the range from its bottom has no
    # fixed point above.
    bottom, no_input = np.full(net.n, 1 - arithmetic.STATE_LIMIT), np.zeros_like(bias)
    # (H7) from there, without input
    fallen = arithmetic.update_v_unclipped(
        bottom, no_input, net.dv.astype(np.int64), bias
    )
    most = -(-steps // (net.refractory.astype(np.int64) + 1))  # (H17)
    columns = [int((column_counts(block.weights) == 0).sum()) for block in net.blocks]
    weights = [p for p in report.parameters if p.name[:2] == "w_"] if report else []
    return Diagnostics(
        trials=batch,
        steps=steps,
        sum_wraps=run.overflow.sum_wraps,
        u_wraps=run.overflow.u_wraps,
        v_low=run.overflow.v_low,
        v_high=run.overflow.v_high,
        bias_low=fallen < bottom,
        bias_fires=bias > net.vth.astype(np.int64) << arithmetic.INPUT_SHIFT,
        spikes=fired,
        dead=fired == 0,
        # one spike fills a trial that has no room for a second: no sign of anything
        saturated=(most >= 2) & (fired >= SATURATED * most * batch),
        empty_columns=np.array(columns, dtype=np.int64),
        zeroed=sum(p.zeroed for p in weights) if report else None,
        tau_far=far_neurons(report) if report else None,
    )


def findings(diagnostics: Diagnostics) -> tuple[RunFinding, ...]:
    """Return what deserves attention: errors, then warnings, then information."""
    rows = []
    for kind, (severity, happened, parameter, remedy) in _KINDS.items():
        value = getattr(diagnostics, kind)
        total = 0 if value is None else int(np.sum(value))
        if not total:
            continue
        neurons, events, account = 0, total, f"{total} {happened}"
        if kind not in _OF_WEIGHTS:
            neurons, flag = int(np.count_nonzero(value)), value.dtype == bool
            # A flag is a property of the neuron, not something that happened often.
            events = 0 if flag else total
            times = "" if flag else f" {total} times"
            worst = f"{'the first is' if flag else 'most in'} neuron {np.argmax(value)}"
            share = f"in {neurons} of {len(value)} neurons ({worst})"
            account = f"{happened}{times} {share}"
        text = f"{parameter}: {account}; {remedy}"
        rows.append(
            RunFinding(kind, severity, parameter, remedy, neurons, events, text)
        )
    return tuple(rows)


def warn(diagnostics: Diagnostics, *, stacklevel: int = 2) -> None:
    """Issue an `EngineWarning` for every finding that is more than information."""
    for finding in findings(diagnostics):
        if finding.severity != "info":
            warnings.warn(finding.text, EngineWarning, stacklevel=stacklevel)


def summarize(diagnostics: Diagnostics) -> dict[str, Any]:
    """Return totals over neurons, and the findings, ready for JSON."""
    # sums over neurons, or over blocks; single numbers stay
    values = {name: getattr(diagnostics, name) for name in diagnostics.__slots__}
    totals = {k: None if v is None else int(np.sum(v)) for k, v in values.items()}
    rows = [finding._asdict() for finding in findings(diagnostics)]
    return {**totals, "n": len(diagnostics.spikes), "findings": rows}


def raise_first(
    engine: Callable[..., Run],
    net: FixedPointNetwork,
    messages: np.ndarray,
    *,
    seed: int = 0,
    first_trial: int = 0,
    state: ChipState | None = None,
) -> None:
    """Raise for the first overflow of a run; return if there is none.

    Looks for the earliest step, in it for the lowest trial, in that for the first of
    `STRICT`, then for the lowest neuron, by halving the run: with any engine that
    counts overflows, for at most about twice the time of the run.

    `engine` is the `run` of an engine; all that follows is as the engine takes it.

    Raises:
        ChipOverflow: something overflowed.
    """

    def rerun(
        sent: np.ndarray, trial: int, start: ChipState
    ) -> tuple[Overflow, ChipState]:
        run = engine(
            net, sent, seed=seed, first_trial=trial, state=start, count_overflow=True
        )
        if run.overflow is None:
            raise ValueError("engine: got a run without counts, need overflow counted")
        return run.overflow, run.state

    now = initial_state(net, messages.shape[1]) if state is None else state
    if not errors_of(rerun(messages, first_trial, now)[0]):
        return
    # The half that has the first error is kept; a state carries over from a half
    # without one.
    while len(messages) > 1:
        half = len(messages) // 2
        counted, after = rerun(messages[:half], first_trial, now)
        if errors_of(counted):
            messages = messages[:half]
        else:
            messages, now = messages[half:], after
    # Counts are sums over trials: in the step that is left each trial runs by itself.
    for k in range(messages.shape[1]):
        trial = slice(k, k + 1)
        alone = ChipState(
            now.u[trial], now.v[trial], now.rest[trial], now.ring[:, trial], now.step
        )
        counted, _ = rerun(messages[:, trial], first_trial + k, alone)
        for kind in errors_of(counted):
            neuron = int(np.argmax(getattr(counted, kind) > 0))
            raise ChipOverflow(kind, first_trial + k, now.step, neuron)


def _counts(spikes: Spikes) -> np.ndarray:
    """Return spikes per neuron; `CHUNK` bounds what is unpacked at a time."""
    total = np.zeros(spikes.n, dtype=np.int64)
    # Unpacked, spikes take eight times their memory.
    rows = spikes.bits.reshape(-1, spikes.bits.shape[2])
    size = max(1, CHUNK // spikes.n)
    for start in range(0, len(rows), size):
        total += unpack(rows[start : start + size], spikes.n).sum(axis=0)
    return total
