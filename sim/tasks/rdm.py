"""Random-dot decision: the sign of a noisy stream of constant mean.

Timing, noise and score of Dubreuil, Valente, Beiran, Mastrogiuseppe & Ostojic 2022,
doi:10.1038/s41593-022-01088-4, and of the code published with it.
"""

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.records.trials import Trials
from isotau.sim.tasks.answers import mean_is_right, mean_is_right_strictly
from isotau.sim.tasks.task import Task

NAME = "rdm"
DT = 0.020
STEPS = 75
STIMULUS = slice(5, 45)
"""Steps of the stimulus: 100 to 900 ms."""
DECISION = slice(60, 75)
"""Steps of the answer: 1.2 to 1.5 s."""
COHERENCES = (-16, -8, -4, -2, -1, 1, 2, 4, 8, 16)
"""In percent."""
SCALE = 3.2 / 100
"""Input per percent of coherence."""
NOISE = 0.03
"""Standard deviation of the input's noise in each step."""


def draw(batch: int, rng: np.random.Generator) -> Trials:
    """Return trials of 1.5 s in steps of 20 ms, of ten coherences at even odds.

    Fixation 100 ms, stimulus 800 ms, delay 300 ms, decision 300 ms. Input: 0.032 times
    the coherence in percent during the stimulus, else 0; plus N(0, 0.03²), fresh in
    each step of the whole trial. Target: ±1, the coherence's sign, in the decision,
    which alone counts, else 0. Labels: the coherence in percent.
    """
    batch = validation.whole("batch", batch, 1, 1 << 20)
    coherence = rng.choice(np.array(COHERENCES, dtype=np.int64), size=batch)
    inputs = NOISE * rng.standard_normal((STEPS, batch, 1))
    inputs[STIMULUS, :, 0] += SCALE * coherence
    targets = np.zeros((STEPS, batch, 1))
    # The decision comes 300 ms after the stimulus: it must be held until then.
    targets[DECISION, :, 0] = np.sign(coherence)
    mask = np.zeros((STEPS, batch), dtype=bool)
    mask[DECISION] = True  # as in the published loss
    return Trials(
        inputs=inputs, targets=targets, mask=mask, labels=coherence, dt=DT, task=NAME
    )


RDM = Task(
    name=NAME,
    n_in=1,
    n_out=1,
    dt=DT,
    draw=draw,
    score=mean_is_right,
    score_strict=mean_is_right_strictly,
    conditions={coherence: f"{coherence:+d} %" for coherence in COHERENCES},
    thresholds=(0.0,),
)
