"""Letters in Braille under a fingertip: a task for spiking networks, all synthetic.

A pad of six taxels, three rows of two, slides over one cell of Braille. Each taxel
feels the dots near it and sends an ON event when what it feels has risen by a step and
an OFF event when it has fallen by one: twelve channels of 0 and 1, 256 time steps, one
of seven letters. Position, height, tilt, speed and force differ from sweep to sweep,
events are lost, and there are events that no dot caused, so that no network gets all
of them right.

The sizes are those of the recorded letters in the NIR paper
(doi:10.1038/s41467-024-52259-9); not one number of that recording is in here.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8

DOTS = {
    "A": (1,),
    "E": (1, 5),
    "I": (2, 4),
    "O": (1, 3, 5),
    "S": (2, 3, 4),
    "U": (1, 3, 6),
    "Y": (1, 3, 4, 5, 6),
}
"""Raised dots of each letter: 1 to 3 down the left column, 4 to 6 down the right."""
LETTERS = tuple(DOTS)
STEPS, CHANNELS = 256, 12

# Lengths are in units of the distance between two dots of a cell.
TAXELS = np.array([(x, y) for x in (-0.6, 0.6) for y in (1.0, 0.0, -1.0)])
"""Where the six taxels sit on the pad, (along the sweep, across it)."""
FIELD = 0.5
"""Standard deviation of the Gaussian field in which a taxel feels a dot."""
EVENT_STEP = 0.16
"""Rise or fall, in units of one dot right under a taxel, that makes an event."""
LOSS, FALSE_PER_STEP = 0.15, 0.006
"""Chance that an event is lost, and that a channel has one in a step for no reason."""


class Sweeps(NamedTuple):
    """Events and letters of some sweeps."""

    events: UInt8[np.ndarray, "steps sweeps channels"]
    """ON of the six taxels, then OFF of the six."""
    labels: Int64[np.ndarray, " sweeps"]
    """Places in `LETTERS`."""


def draw(sweeps: int, rng: np.random.Generator) -> Sweeps:
    """Return sweeps over letters that are as frequent as can be, in random order."""
    labels = rng.permutation(np.arange(sweeps) % len(LETTERS))
    events = _events(_pressure(labels, rng))
    events &= rng.random(events.shape) >= LOSS
    events |= rng.random(events.shape) < FALSE_PER_STEP
    return Sweeps(events.astype(np.uint8), labels)


def _pressure(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return what the taxels feel, steps × sweeps × taxels."""
    shape = (1, len(labels), 1)
    # 5.6 in 256 steps: the pad passes over the whole cell and leaves it.
    speed = 5.6 / STEPS * np.exp(rng.normal(0, 0.18, shape))
    start = -2.6 + rng.normal(0, 0.25, shape)
    height = rng.normal(0, 0.28, shape)
    tilt = rng.normal(0, 0.12, shape)
    force = np.exp(rng.normal(0, 0.2, shape))
    wobble = rng.normal(0, 0.15, shape) * np.sin(
        2 * np.pi * (np.arange(STEPS)[:, None, None] / STEPS + rng.random(shape))
    )
    centre = start + speed * np.arange(STEPS)[:, None, None] + wobble
    x = centre + TAXELS[:, 0] * np.cos(tilt) - TAXELS[:, 1] * np.sin(tilt)
    y = height + TAXELS[:, 0] * np.sin(tilt) + TAXELS[:, 1] * np.cos(tilt)
    pressure = np.zeros((STEPS, len(labels), len(TAXELS)))
    for dot in range(1, 7):
        raised = np.array([dot in DOTS[LETTERS[label]] for label in labels])
        column, row = divmod(dot - 1, 3)
        away = (x - (column - 0.5)) ** 2 + (y - (1 - row)) ** 2
        # Dots are worn: no two of them stand out alike.
        worn = raised[:, None] * np.exp(rng.normal(0, 0.2, shape))
        pressure += worn * np.exp(-away / (2 * FIELD**2))
    return force * pressure


def _events(pressure: np.ndarray) -> np.ndarray:
    """Return ON and OFF events, steps × sweeps × 12, as bool."""
    level = np.zeros(pressure.shape[1:])
    events = np.zeros((*pressure.shape[:2], CHANNELS), dtype=bool)
    for t, now in enumerate(pressure):
        risen, fallen = now - level > EVENT_STEP, level - now > EVENT_STEP
        # By one event's worth, not to what is felt: fast changes send several.
        level += EVENT_STEP * (risen.astype(float) - fallen)
        events[t] = np.concatenate([risen, fallen], axis=1)
    return events
