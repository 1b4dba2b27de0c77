"""Reading a rate network from any file: the content decides which reader takes it."""

import os
from collections.abc import Collection

from isotau.convert.read.conventions import Read, conventions_of
from isotau.convert.read.kinds import read_file
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.storage import load


def read_rate(
    path: str | os.PathLike[str],
    *,
    alpha: float | None = None,
    dt: float | None = None,
    tau: float | None = None,
    noise_std: float | None = None,
    rec_noise: float | None = None,
    activation: str | None = None,
    readout: str | None = None,
    scaled: bool | None = None,
    ignore: Collection[str] | None = None,
) -> Read:
    """Return the rate network in a file of any kind, and what was assumed of it.

    The content decides which reader it is, not the name: see `READERS` of
    `isotau.convert.read.kinds`. Its reader says what the arguments mean.

    Args:
        path: of the file.
        alpha: dt/tau.
        dt: step, in seconds.
        tau: time constant of every unit, in seconds.
        noise_std: standard deviation of the noise added to x in every step.
        rec_noise: PsychRNN's parameter, in place of `noise_std`.
        activation: one of `isotau.convert.records.rate.ACTIVATIONS`.
        readout: name of the linear readout in a torch state dict.
        scaled: whether full-rank weights of the low-rank papers are divided by N.
        ignore: names in the file to leave out.

    Raises:
        UnreadableFile: none of these files, damaged, or not as its reader needs it.
        ValueError: an assumption that the file leaves no room for, or several that
            contradict each other.
    """
    # One function for the command line and for Python, whatever the file is; what does
    # not go with it is refused by name.
    return read_file(
        path,
        alpha=alpha,
        dt=dt,
        tau=tau,
        noise_std=noise_std,
        rec_noise=rec_noise,
        activation=activation,
        readout=readout,
        scaled=scaled,
        ignore=ignore,
    )


def read_record(path: str | os.PathLike[str]) -> Read:
    """Return the network of isotau's own file, which states everything."""
    # Nothing is assumed, so nothing can be passed.
    net = load(path, RateRNN)
    return Read(net, conventions_of(net, "isotau .rate.npz"))
