"""`Spikes`: who spiked when, in which trial; packed eight to a byte."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from isotau.convert import validation


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Spikes:
    """The spikes of a batch of trials, one bit each.

    Attributes:
        bits: steps × batch × ceil(n/8); bit k of byte j is neuron 8j + k (little-endian
            bit order, as `np.packbits(..., bitorder="little")` makes it). Taken as it
            is, since it may fill most of the memory: do not change it afterwards.
        n: number of neurons; the bits beyond it are 0.
        dt: length of a step, in seconds.
        engine: what made them: "rate", "norse", "reference", "lava", "recorded" …
        network: SHA-256 of the network that made them (`isotau.fingerprint`), or "".
    """

    bits: UInt8[np.ndarray, "steps batch bytes"]
    n: int
    dt: float
    engine: str
    network: str = ""

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        n = validation.whole("n", self.n, 1, 2**31 - 1)
        shape = np.shape(self.bits)
        if len(shape) != 3:
            raise ValueError(
                f"bits: got shape {shape}, need 3 axes (steps × batch × bytes)"
            )
        need = (*shape[:2], (n + 7) // 8)
        layout = "steps × batch × ceil(n/8)"
        bits = np.asarray(self.bits).view()
        if bits.dtype != np.uint8 or shape != need:
            bits = validation.integers(
                "bits", self.bits, need, layout, dtype=np.uint8, low=0, high=255
            )
        bits.setflags(write=False)
        if n % 8 and (bits[..., -1] >> (n % 8)).any():
            raise ValueError(
                f"bits: got spikes beyond neuron {n - 1}, need zeros there"
            )
        validation.freeze(
            self,
            {
                "bits": bits,
                "n": n,
                "dt": validation.number("dt", self.dt, positive=True),
                "engine": str(self.engine),
                "network": str(self.network),
            },
        )

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return self.bits.shape[0]

    @property
    def batch(self) -> int:
        """Number of trials."""
        return self.bits.shape[1]


def pack(raster: Bool[np.ndarray, "*shape n"]) -> np.ndarray:
    """Return a raster with its last axis packed eight neurons to a byte."""
    return np.packbits(raster, axis=-1, bitorder="little")


def unpack(bits: UInt8[np.ndarray, "*shape bytes"], n: int) -> np.ndarray:
    """Return the boolean raster of `n` neurons that `pack` was given."""
    return np.unpackbits(bits, axis=-1, count=n, bitorder="little").astype(bool)


def count(spikes: Spikes, *, width: int) -> Int64[np.ndarray, "bins batch n"]:
    """Return spike counts in bins of `width` steps, bins × batch × neuron.

    Steps after the last whole bin are left out.
    """
    if width < 1 or width > spikes.steps:
        raise ValueError(
            f"width: got {width} steps, need 1 to {spikes.steps} (the trial's length)"
        )
    bins = spikes.steps // width
    counts = np.empty((bins, spikes.batch, spikes.n), dtype=np.int64)
    for k in range(bins):
        chunk = spikes.bits[k * width : (k + 1) * width]
        counts[k] = unpack(chunk, spikes.n).sum(axis=0, dtype=np.int64)
    return counts


def window(spikes: Spikes, start: int, stop: int | None = None) -> Spikes:
    """Return the steps `start` to `stop` alone."""
    return Spikes(
        bits=spikes.bits[start:stop],
        n=spikes.n,
        dt=spikes.dt,
        engine=spikes.engine,
        network=spikes.network,
    )


def select(spikes: Spikes, trials: slice) -> Spikes:
    """Return some of the trials alone."""
    return Spikes(
        bits=spikes.bits[:, trials],
        n=spikes.n,
        dt=spikes.dt,
        engine=spikes.engine,
        network=spikes.network,
    )


def mean_rate(spikes: Spikes) -> float:
    """Return the mean firing rate over neurons and trials, in Hz."""
    # Step by step: counting turns every byte into eight.
    held = np.zeros(256, dtype=np.int64)
    for bits in spikes.bits:
        held += np.bincount(bits.ravel(), minlength=256)
    events = int(
        held @ np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], 1).sum(1)
    )
    return events / (spikes.n * spikes.batch * spikes.steps * spikes.dt)
