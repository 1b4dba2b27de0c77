"""Compiled loops of the counter-based normal numbers: `normals`, bit for bit."""

import numpy as np
from jaxtyping import Float32

from isotau.convert.chip.compiled_step import bare
from isotau.convert.chip.philox import noise_key
from isotau.convert.ground.compilation import njit
from isotau.convert.simulate.vectors import normals
from isotau.convert.simulate.vectors.vector_normals import fill_normals

LANES, GROUP = normals.LANES, normals.GROUP
exact = njit(nogil=True, cache=True, error_model="numpy")
"""Each operation rounds: a product and a sum are not made one."""


def draw(
    place: normals.Place, shape: tuple[int, int, int], first_trial: int = 0
) -> Float32[np.ndarray, "steps batch n"]:
    """Return standard normal numbers of some steps and trials, as `normals` has them.

    Args:
        place: seed, stream and number of the first step.
        shape: steps × batch × neuron.
        first_trial: number of the first trial.
    """
    key = tuple(np.uint64(half) for half in noise_key(place.seed))
    out = np.empty(shape, np.float32)
    fill_steps(0, shape[1], out, key, place.stream, place.step, first_trial)
    return out


@exact
def fill_steps(first, last, out, key, stream, step, first_trial):
    """Set the samples of some steps of the trials `first` … `last` − 1.

    Args:
        first: trial of `out`.
        last: trial, not included.
        out: steps × batch × neuron, float32.
        key: the halves of the seed, uint64.
        stream: of `normals`.
        step: number of the first.
        first_trial: number of trial 0 of `out`.
    """
    steps, _, n = out.shape
    samples, vectors = bare(out), -(-n // LANES)
    row = np.empty(-(-n // GROUP) * GROUP, np.float32)
    for t in range(steps):
        for b in range(first, last):
            fill_normals(vectors, row, key, step + t, first_trial + b, stream)
            for j in range(n):
                samples[t, b, j] = row[j]
