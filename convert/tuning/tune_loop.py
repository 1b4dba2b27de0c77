"""Tuning a LIF network by gradient: the loop, its stops, and what is left of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.checkpoint import write_checkpoint
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.tuning.evaluate import TuneEvaluation, evaluate
from isotau.convert.tuning.learner.learner import Method, NotFinite
from isotau.convert.tuning.learner.tune_config import METHODS, TuneConfig
from isotau.convert.tuning.loss.batch import Source
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.methods.bptt import BPTT
from isotau.convert.tuning.methods.eprop import EProp
from isotau.convert.tuning.methods.eventprop import EventProp
from isotau.convert.tuning.methods.fptt import FPTT
from isotau.convert.tuning.session import (
    Quantization,
    Session,
    begin,
    identity,
    restore,
    snapshot,
)

METHOD_OF: dict[str, type[Method]] = dict(
    zip(METHODS, (BPTT, EProp, EventProp, FPTT), strict=True)
)
USUAL = TuneConfig()
TASK = Objective()


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tuned:
    """A tuned network and how it came about.

    Attributes:
        network: with the parameters of the best evaluation, the one before tuning
            among them.
        fixed: the integers of that network, as the forward pass ran them; None without
            the chip's arithmetic.
        evaluations: in order; the first is of the network before tuning.
        best: the evaluation of `network`.
        losses: of every update, before it: each part, and "total".
        status: "converged" where the held-out accuracy reached `stop_accuracy`,
            "settled" where `patience` ran out, "exhausted" after the last update,
            "stopped" where tuning was ended before, "failed" where a loss or gradient
            was no finite number any more.
        problem: what failed; "" if nothing did.
    """

    network: LIFNetwork
    fixed: FixedPointNetwork | None
    evaluations: tuple[TuneEvaluation, ...]
    best: TuneEvaluation
    losses: tuple[dict[str, float], ...]
    status: str
    problem: str = ""


def tune(
    net: LIFNetwork,
    source: Source,
    *,
    objective: Objective = TASK,
    config: TuneConfig = USUAL,
    quantization: Quantization | None = None,
    held_out: Source | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    stop: Callable[[], bool] | None = None,
) -> Tuned:
    """Return a LIF network tuned by gradient.

    Adam on the objective's loss, in steps of each parameter's typical size; Dale's law
    and absent synapses are kept exactly. The network returned is the one that did best
    on held-out trials, so it is never worse there than the one given.

    Args:
        net: from a conversion, a file, or `from_scratch`.
        source: of the trials, and of the rule by which answers are right.
        objective: what the loss asks for.
        config: how to tune.
        quantization: for the chip's integers in the forward pass; None for floats.
        held_out: where held-out trials are drawn from; `source` if None, whose draws
            for them have a seed of their own.
        checkpoint: file that takes the state at every evaluation, at the end and at a
            keyboard interrupt. If it exists, tuning goes on from it, and ends with the
            same bits as without the interruption.
        progress: is given the updates as they pass.
        stop: asked before every update; True ends tuning early.

    Raises:
        ValueError: trials that do not fit the network, a method that cannot do what is
            asked for, a checkpoint of another tuning.
        DoesNotFit: the network does not fit the chip.
        UnreadableFile: the checkpoint is damaged.
    """
    method = METHOD_OF[config.method]()
    session = begin(net, source, objective, config, method, quantization, held_out)
    run = identity(net, objective, config, quantization)
    if checkpoint is not None and checkpoint.exists():
        restore(session, checkpoint, run)
    if not session.evaluations:
        _evaluate(session)
    status, problem = "exhausted", ""
    # a copy, as an update changes the module in place: an interrupt within one writes
    # what was before it
    safe = snapshot(session)
    try:
        for _ in progress(range(session.update, config.updates), "tuning"):
            over = _over(session, config)
            if over or (stop is not None and stop()):
                status = over or "stopped"
                break
            _update(session)
            # evaluated first: the snapshot holds what the update came to
            if session.update % config.evaluate_every == 0:
                _evaluate(session)
            safe = snapshot(session)
            if checkpoint and session.update % config.evaluate_every == 0:
                write_checkpoint(checkpoint, run, safe)
        else:
            if session.evaluations[-1].update != session.update:
                _evaluate(session)
                safe = snapshot(session)
            status = _over(session, config) or status
    except NotFinite as error:
        status, problem = "failed", f"update {session.update + 1}: {error}"
    finally:
        # nothing yet, as where the method refuses: another tuning may take the file
        if checkpoint is not None and safe.header["update"]:
            write_checkpoint(checkpoint, run, safe)
    return _finish(session, status, problem)


def _update(session: Session) -> None:
    batch, quiet = session.draw()
    config = session.learner.config
    # (U16): by the update's number, so that a resumed run has the same rates
    share = 0.5 ** (session.update / config.halve_every) if config.halve_every else 1.0
    for group in session.learner.optimizer.param_groups:
        group["lr"] = config.learning_rate * group["size"] * share
    progressed = session.method.learn(session.learner, batch, quiet)
    session.losses.append(progressed.losses)
    session.update += 1


def _evaluate(session: Session) -> None:
    now = evaluate(
        session.learner,
        session.source,
        session.held,
        session.held_quiet,
        session.update,
    )
    session.evaluations.append(now)
    if now.better_than(session.best_evaluation):
        session.best, session.best_evaluation = session.parameters(), now


def _over(session: Session, config: TuneConfig) -> str:
    """Return the status with which the last evaluation ends tuning, or ""."""
    best = session.best_evaluation
    # between evaluations nothing is known that could end tuning
    if best is None or session.evaluations[-1].update != session.update:
        return ""
    if config.stop_accuracy is not None and best.accuracy >= config.stop_accuracy:
        return "converged"
    # patience counts evaluations, not updates: nothing is known in between
    since = sum(e.update > best.update for e in session.evaluations)
    return "settled" if config.patience and since >= config.patience else ""


def _finish(session: Session, status: str, problem: str) -> Tuned:
    best = session.best_evaluation
    if best is None:
        raise RuntimeError("evaluation: got none, need the one before tuning")
    return Tuned(
        # to the bit: through the module's type it would be rounded
        network=session.network(session.best) if best.update else session.net,
        fixed=session.fixed(session.best),
        evaluations=tuple(session.evaluations),
        best=best,
        losses=tuple(session.losses),
        status=status,
        problem=problem,
    )
