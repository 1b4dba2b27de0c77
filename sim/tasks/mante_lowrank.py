"""Context-dependent integration in 20 ms steps, for low-rank networks.

Timing and score of Dubreuil, Valente, Beiran, Mastrogiuseppe & Ostojic 2022,
doi:10.1038/s41593-022-01088-4, amplitudes and delay of the code of Valente, Pillow &
Ostojic 2022 (Advances in Neural Information Processing Systems 35), whose networks have
the same form. The task is that of Mante et al. 2013, doi:10.1038/nature12742.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.records.trials import Trials
from isotau.sim.tasks.answers import mean_is_right, mean_is_right_strictly
from isotau.sim.tasks.mante import CONDITIONS, label
from isotau.sim.tasks.task import Task

NAME = "mante-lowrank"
DT = 0.020
FIXATION, ALONE, STIMULUS, DELAY, DECISION = 5, 17, 40, 5, 1
"""Lengths in steps: 100, 340, 800, 100 and 20 ms. The published 350 ms of the cue alone
are cut to whole steps in the published code too."""
COHERENCES = (-4, -2, -1, 1, 2, 4)
SCALE = 0.1
"""Input per unit of coherence."""
CUE = 0.1
NOISE = 0.1
"""Standard deviation of the streams' noise in each step."""


def mante_lowrank(
    *, cue: float = CUE, coherences: Sequence[int] = COHERENCES, delay: int = DELAY
) -> Task:
    """Return the task, on request with other amplitudes or another delay.

    Files of this family do not tell what they were trained with. The code of Dubreuil
    et al. 2022 has a cue of 1 (0.5 for the network of its main figure), coherences of
    ±1, ±2, ±4, ±8 and ±16, and a delay of 300 ms, 15 steps.
    Lenient, published: the mean output in the decision has the target's sign. Strict:
    that mean is also within 0.5 of the target.

    Args:
        cue: input that says which stream counts.
        coherences: signed, in units of 0.1 of input.
        delay: from the streams' end to the decision, in steps of 20 ms.

    Raises:
        ValueError: no coherence, or one of 0.
    """
    levels = validation.integers(
        "coherences",
        coherences,
        (validation.length("coherences", coherences, ndim=1),),
        "coherence",
        dtype=np.int64,
        low=-1000,
        high=1000,
    )
    # A coherence of 0 has no sign, and so no right answer.
    if not levels.all():
        raise ValueError(f"coherences: got {tuple(coherences)}, need none of 0")
    return Task(
        name=NAME,
        n_in=4,
        n_out=1,
        dt=DT,
        draw=partial(
            _draw,
            cue=validation.number("cue", cue),
            coherences=levels,
            delay=validation.whole("delay", delay, 0, 10_000),
        ),
        score=mean_is_right,
        score_strict=mean_is_right_strictly,
        conditions=CONDITIONS,
        thresholds=(0.0,),
    )


def _draw(
    batch: int,
    rng: np.random.Generator,
    *,
    cue: float,
    coherences: np.ndarray,
    delay: int,
) -> Trials:
    """Return trials in steps of 20 ms, 1.36 s long, coherences and cue at even odds.

    Fixation 100 ms, cue alone 340 ms, stimulus 800 ms, delay 100 ms, decision 20 ms.
    Input: channels 0 and 1 are ±0.1, ±0.2 or ±0.4 during the stimulus, else 0, plus
    N(0, 0.1²), fresh in each step of the whole trial; channel 2 is 0.1 from the end of
    fixation to the decision where stream 0 is cued, channel 3 where stream 1 is.
    Target: ±1, the sign of the cued coherence, in the decision, which alone counts,
    else 0. Labels: as in `isotau.sim.tasks.mante`.
    """
    batch = validation.whole("batch", batch, 1, 1 << 20)
    coherence = rng.choice(coherences, size=(batch, 2))
    cued = rng.integers(2, size=batch)
    trial = np.arange(batch)
    # The cue comes first, so that the stream that does not count can be kept out.
    on = FIXATION + ALONE
    decision = on + STIMULUS + delay
    steps = decision + DECISION
    inputs = np.zeros((steps, batch, 4))
    inputs[:, :, :2] = NOISE * rng.standard_normal((steps, batch, 2))
    # Noise also before and after the stimulus: the network is never told when it ends.
    inputs[on : on + STIMULUS, :, :2] += SCALE * coherence
    inputs[FIXATION:decision, trial, 2 + cued] = cue
    targets = np.zeros((steps, batch, 1))
    # The sign alone: how coherent a stream is makes the answer harder, not larger.
    targets[decision:, :, 0] = np.sign(coherence[trial, cued])
    mask = np.zeros((steps, batch), dtype=bool)
    mask[decision:] = True  # as in the published loss
    return Trials(
        inputs=inputs,
        targets=targets,
        mask=mask,
        labels=label(cued, coherence),
        dt=DT,
        task=NAME,
    )


MANTE_LOWRANK = mante_lowrank()
