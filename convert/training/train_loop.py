"""Training many rate networks at once."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch

from isotau.convert.ground import validation
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Draw, Score
from isotau.convert.training.state import (
    Trained,
    begin,
    finish,
    identity,
    load_state,
    save_state,
)
from isotau.convert.training.train_config import TrainConfig
from isotau.convert.training.update import TrainingSetup, update


def train_many(
    draw: Draw,
    score: Score,
    config: TrainConfig,
    *,
    seeds: Sequence[int],
    start: Sequence[RateRNN] | None = None,
    progress: Progress = silent,
    checkpoint: Path | None = None,
    stop: Callable[[], bool] | None = None,
    workers: int | None = None,
) -> tuple[Trained, ...]:
    """Return rate networks trained on a task, one for each seed.

    Adam on `config.loss`; o_t is the output after input t was taken. Under Dale's law
    negative weights count as 0, so that it holds exactly. A network that meets the stop
    rule, or whose loss or gradient is no finite number, leaves the batch.

    Every network has its own trials and noise, from its seed alone. Which others are in
    the batch, and the number of threads, change it by float rounding only, which long
    training amplifies; the same call gives the same bits on the same machine.
    Source: Kim, Li & Sejnowski 2019, doi:10.1073/pnas.1905926116, equations 4 to 9.

    Args:
        draw: returns trials of the task.
        score: returns which trials were right; the stop rule looks at it.
        config: how.
        seeds: of each network.
        start: networks to go on from, one for each seed; None for fresh ones.
        progress: is given the updates as they pass.
        checkpoint: file that takes the state at every evaluation, at the end and at a
            keyboard interrupt. If it exists, training goes on from it, and ends with
            the same bits as without the interruption if `workers` is the same.
        stop: asked before every update; True ends training early.
        workers: threads, each with a part of the networks; as torch has it if None.

    Raises:
        ValueError: the checkpoint is of another training, or `start` does not fit.
        UnreadableFile: the checkpoint is damaged.
    """
    if not seeds:
        raise ValueError("seeds: got none, need one for each network")
    for seed in seeds:
        validation.whole("seeds", seed, 0, 2**63 - 1)
    workers = validation.whole(
        "workers", workers or torch.get_num_threads(), 1, 1 << 10
    )
    # the state of a checkpoint needs one of the same shapes, so it is made in any case
    state, first = begin(draw, config, seeds, start)
    run = identity(config, seeds, start, first)
    if checkpoint is not None and checkpoint.exists():
        state = load_state(checkpoint, run, state)
    # from where the checkpoint stood; progress counts what is still to do
    updates = range(state.iteration, config.max_iterations)
    with _one_thread_each(), ThreadPoolExecutor(workers) as pool:
        setup = TrainingSetup(
            draw=draw, score=score, config=config, pool=pool, workers=workers
        )
        try:
            for _ in progress(updates, "training"):
                # asked before an update, so that a stopped run ends with a whole one
                if not state.running or (stop is not None and stop()):
                    break
                state = update(state, setup)
                # as often as is evaluated: a write costs less than an evaluation
                if checkpoint and state.iteration % config.evaluate_every == 0:
                    save_state(state, run, checkpoint)
        finally:
            # at an interrupt, too: the state is that after the last whole update
            if checkpoint is not None:
                save_state(state, run, checkpoint)
    return finish(state, config, first.dt)


def train(
    draw: Draw,
    score: Score,
    config: TrainConfig,
    *,
    seed: int,
    start: RateRNN | None = None,
    progress: Progress = silent,
    checkpoint: Path | None = None,
    stop: Callable[[], bool] | None = None,
) -> Trained:
    """Return one rate network trained on a task; see `train_many`."""
    (trained,) = train_many(
        draw,
        score,
        config,
        seeds=[seed],
        start=None if start is None else [start],
        progress=progress,
        checkpoint=checkpoint,
        stop=stop,
    )
    return trained


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let torch use one thread per operation: whole groups go to threads instead.

    That needs no meeting of threads in every operation, which costs a lot where other
    processes want the cores too.
    """
    # set for the whole process: torch has no other way
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
