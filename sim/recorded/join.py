"""Recordings of several sessions as one."""

from collections.abc import Sequence

import numpy as np

from isotau.convert.spike_times import SpikeTimes


def join(recordings: Sequence[SpikeTimes]) -> SpikeTimes:
    """Return the neurons of all recordings in one, in order.

    Names are kept if all recordings have them; the sources stand side by side.

    Raises:
        ValueError: no recording, or windows of different lengths.
    """
    durations = [recording.duration for recording in recordings]
    if not durations or not np.allclose(durations, durations[0], rtol=1e-9, atol=0):
        raise ValueError(
            f"duration: got {sorted(set(durations))} s, need one for all recordings"
        )
    sizes = [recording.n for recording in recordings]
    before = np.cumsum([0, *sizes[:-1]])
    named = all(recording.names for recording in recordings)
    return SpikeTimes(
        times=np.concatenate([recording.times for recording in recordings]),
        trial=np.concatenate([recording.trial for recording in recordings]),
        neuron=np.concatenate(
            [
                k + recording.neuron
                for k, recording in zip(before, recordings, strict=True)
            ]
        ),
        trials=np.concatenate([recording.trials for recording in recordings]),
        duration=max(durations),
        names=sum((r.names for r in recordings), ()) if named else (),
        source="; ".join(dict.fromkeys(r.source for r in recordings)),
    )
