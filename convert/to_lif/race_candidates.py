"""Candidates of a conversion, on the same trials; who is far behind drops out.

A race goes in heats: all candidates run on the first trials, those that are left on
more of them. Trials and noise are common to all, so that differences are paired; no
trial is run twice. A candidate drops out once it is `BEHIND` standard errors behind the
leader: in trials right, or, if it is right in no more trials than the leader, in the
output error. Whoever runs to the end has the figures of all trials, the same as without
a race; what dropped out was worse beyond chance.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert.ground.progress import Progress
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.spikes import Spikes, select
from isotau.convert.records.trials import Score, Trials, subset
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.readout import network_outputs
from isotau.convert.to_lif.conversion import Candidate, answer_amplitude, merit

HEATS = (0.2, 0.5)
"""Shares of the trials after which candidates may drop out."""
FEWEST = 20
"""Trials of a heat, at least: fewer tell nothing apart."""
BEHIND = 3.0
"""Standard errors of a paired difference."""


@short_repr
class Attempt(NamedTuple):
    """A candidate with its figures, and its outputs before gain and constant part."""

    candidate: Candidate
    raw: Float64[np.ndarray, "steps trials n_out"]


@dataclass(frozen=True, slots=True, eq=False)
class Racecourse:
    """What candidates run on.

    Attributes:
        network: makes the network of a candidate.
        trials: what they are shown, in the networks' steps.
        score: the task's rule.
        seed: of the membrane noise.
        burn_in: steps before each trial.
        match_output: whether a gain on the output is fitted.
        progress: is given the steps as they pass.
    """

    network: Callable[[Candidate], LIFNetwork]
    trials: Trials
    score: Score
    seed: int
    burn_in: int
    match_output: bool
    progress: Progress

    def race(
        self, candidates: Sequence[Candidate], leader: Attempt | None = None
    ) -> list[Attempt]:
        """Return what came of candidates that differ in 1/λ and drive, in their order.

        Args:
            candidates: without figures, the output gain at 1.
            leader: best of those that ran before, on all trials; None for none.
        """
        steps, n_out = self.trials.targets.shape[0], self.trials.targets.shape[2]
        blank = np.empty((steps, 0, n_out))
        attempts = [Attempt(candidate, blank) for candidate in candidates]
        left, start = list(range(len(attempts))), 0
        for stop in self._stops():
            if not left:
                break
            before = [attempts[k] for k in left]
            for k, attempt in zip(left, self._run(before, start, stop), strict=True):
                attempts[k] = attempt
            # Against the earlier leader's first trials, not against all of them.
            rivals = [attempts[k] for k in left]
            if leader is not None:
                rivals.append(self._judged(leader.candidate, leader.raw[:, :stop]))
            ahead = max(rivals, key=lambda attempt: merit(attempt.candidate))
            left = [k for k in left if not self._is_behind(attempts[k], ahead)]
            start = stop
        return attempts

    def _stops(self) -> Iterator[int]:
        """Yield how many trials have been run after each heat."""
        batch = self.trials.batch
        for share in HEATS:
            if FEWEST <= (stop := round(share * batch)) < batch:
                yield stop
        yield batch

    def _run(self, attempts: list[Attempt], start: int, stop: int) -> list[Attempt]:
        """Return attempts after the trials `start` … `stop` − 1, in one batch."""
        pairs = [(a.candidate.inverse_lambda, a.candidate.drive) for a in attempts]
        # The network of λ = 1 Hz⁻¹: `scalings` multiply its recurrent weights.
        plain = dataclasses.replace(
            attempts[0].candidate, inverse_lambda=1.0, drive=0.0, output_gain=1.0
        )
        spikes = simulate_lif(
            self.network(plain),
            self.trials.inputs[:, start:stop],
            seed=self.seed,
            first_trial=start,
            burn_in=self.burn_in,
            scalings=[(1.0 / value, drive) for value, drive in pairs],
            progress=self.progress,
        ).spikes
        many = stop - start
        shares = [
            select(spikes, slice(k * many, (k + 1) * many))
            for k in range(len(attempts))
        ]
        # Its loops release the lock of the interpreter.
        with ThreadPoolExecutor() as pool:
            return list(pool.map(self._longer, attempts, shares))

    def _longer(self, attempt: Attempt, spikes: Spikes) -> Attempt:
        """Return an attempt with the outputs of further trials, and judged on all."""
        candidate = dataclasses.replace(attempt.candidate, output_gain=1.0)
        raw = network_outputs(self.network(candidate), spikes, biased=False)
        return self._judged(candidate, np.concatenate([attempt.raw, raw], axis=1))

    def _judged(self, candidate: Candidate, raw: np.ndarray) -> Attempt:
        b_out = self.network(candidate).b_out
        # With a constant output, as after a change from tanh, a gain would shift it.
        free = self.match_output and not np.abs(b_out).max() > 0.5
        return Attempt(
            judge(
                raw,
                b_out,
                subset(self.trials, slice(raw.shape[1])),
                self.score,
                candidate,
                match_output=free,
            ),
            raw,
        )

    def _is_behind(self, attempt: Attempt, leader: Attempt) -> bool:
        """Return whether an attempt is worse than the leader, beyond chance."""
        right, error = self._marks(attempt)
        best_right, best_error = self._marks(leader)
        lost = int((best_right & ~right).sum())
        won = int((right & ~best_right).sum())
        # Sign test: of the trials in which they differ either may win one.
        if lost - won >= BEHIND * np.sqrt(lost + won) > 0:
            return True
        worse = error - best_error
        spread = worse.std(ddof=1) / np.sqrt(worse.size) if worse.size > 1 else np.inf
        return lost >= won and bool(worse.mean() > BEHIND * spread)

    def _marks(
        self, attempt: Attempt
    ) -> tuple[Bool[np.ndarray, " trials"], Float64[np.ndarray, " trials"]]:
        """Return which trials were right, and the output error of each."""
        trials = subset(self.trials, slice(attempt.raw.shape[1]))
        candidate = attempt.candidate
        b_out = self.network(candidate).b_out
        outputs = candidate.output_gain * attempt.raw + b_out
        mask = trials.mask[..., None]
        off = np.where(mask, outputs - trials.targets, 0.0)
        # A trial without a scored step has no error.
        scored = np.maximum(trials.mask.sum(axis=0), 1)
        return self.score(outputs, trials), (off**2).sum(axis=(0, 2)) / scored


def judge(
    raw: Float64[np.ndarray, "steps batch n_out"],
    b_out: Float64[np.ndarray, " n_out"],
    trials: Trials,
    score: Score,
    candidate: Candidate,
    *,
    match_output: bool,
) -> Candidate:
    """Return the candidate with its figures for outputs raw + b_out.

    Args:
        raw: outputs before gain and constant part.
        b_out: constant part.
        trials: what the network was shown, at the outputs' dt.
        score: the task's rule.
        candidate: its figures are replaced.
        match_output: whether a gain is fitted.
    """
    gain = _gain(raw, trials, b_out) if match_output else 1.0
    outputs = gain * raw + b_out
    return dataclasses.replace(
        candidate,
        output_gain=gain,
        amplitude=answer_amplitude(raw + b_out, trials),
        accuracy=float(score(outputs, trials).mean()),
        accuracy_ungained=float(score(raw + b_out, trials).mean()),
        error=float(((outputs - trials.targets)[trials.mask] ** 2).mean()),
        trials=trials.batch,
    )


def _gain(
    raw: Float64[np.ndarray, "steps batch n_out"],
    trials: Trials,
    b_out: Float64[np.ndarray, " n_out"],
) -> float:
    """Return the factor g > 0 with g·raw + b_out nearest the target, or 1."""
    targets = (trials.targets - b_out)[trials.mask]
    outputs = raw[trials.mask]
    power = float((outputs**2).sum())
    gain = float((outputs * targets).sum()) / power if power > 0 else 1.0  # (C7)
    # a gain of the wrong sign would answer the opposite
    return gain if gain > 0 else 1.0
