"""Exact changes of variables: other networks with the same outputs."""

import dataclasses

import numpy as np
from jaxtyping import Int64

from isotau.convert.ground import validation
from isotau.convert.records.rate import RateRNN


def tanh_to_sigmoid(rate: RateRNN) -> RateRNN:
    """Return a sigmoid network with the outputs of a tanh network, step for step.

    tanh x = 2σ(2x) − 1: with y = 2x the network obeys the same equation with
    W' = 4W, W_in' = 2W_in, b' = 2b − 2W·1 and twice the noise, and reads out
    2W_out σ(y) + b_o − W_out·1. The factors of a low-rank network are kept: m' = 4m.

    Raises:
        ValueError: the network is no tanh network.
    """
    if rate.activation != "tanh":
        raise ValueError(
            f"activation: got {rate.activation}, need tanh; other networks need no "
            "change of variables"
        )
    # (C11); τ stays, as both sides of (R1) double
    return dataclasses.replace(
        rate,
        w_rec=4 * rate.w_rec,
        w_in=2 * rate.w_in,
        w_out=2 * rate.w_out,
        bias=2 * rate.bias - 2 * rate.w_rec.sum(axis=1),
        b_out=rate.b_out - rate.w_out.sum(axis=1),
        activation="sigmoid",  # (C10)
        noise_std=2 * rate.noise_std,
        shared_noise=2 * rate.shared_noise,
        ceiling=None if rate.ceiling is None else (rate.ceiling + 1) / 2,
        x0=2 * rate.x0,
        x0_std=2 * rate.x0_std,
        readout_bias=2 * rate.readout_bias,
        m_vectors=4 * rate.m_vectors,
    )


def replicate(rate: RateRNN, copies: int) -> RateRNN:
    """Return the network with `copies` units for each of its units.

    Copy c of unit i is unit i·copies + c; it has unit i's inputs, and its outgoing
    weights are divided by `copies`. Without noise the outputs are the same. Copies have
    noise of their own, √copies times as much: the mean over a unit's copies, which is
    what they hand on, has the unit's; noise that units share their copies share, too.
    As spiking neurons they are a population code.
    """
    copies = validation.whole("copies", copies, 1, 1 << 10)

    def repeated(array: np.ndarray) -> np.ndarray:
        return np.repeat(array, copies, axis=0)

    # (C12); the factors need no division: m nᵀ/N is divided by the new N
    return dataclasses.replace(
        rate,
        w_rec=np.repeat(repeated(rate.w_rec), copies, axis=1) / copies,
        noise_std=rate.noise_std * float(np.sqrt(copies)),
        shared_noise=repeated(rate.shared_noise),
        w_in=repeated(rate.w_in),
        w_out=np.repeat(rate.w_out, copies, axis=1) / copies,
        bias=repeated(rate.bias),
        tau=repeated(rate.tau),
        dale=repeated(rate.dale),
        x0=repeated(rate.x0),
        readout_bias=repeated(rate.readout_bias),
        m_vectors=repeated(rate.m_vectors),
        n_vectors=repeated(rate.n_vectors),
    )


def copies_of(
    rate: RateRNN,
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Return each unit's place among its copies, from 0, and how many there are.

    Copies are units side by side that nothing tells apart, as `replicate` makes them.
    """
    columns = (
        *(rate.w_rec, rate.w_rec.T, rate.w_in, rate.w_out.T, rate.shared_noise),
        *(x[:, None] for x in (rate.bias, rate.tau, rate.x0, rate.readout_bias)),
    )
    # A copy in every number; the first unit is none.
    again = np.all([(x[1:] == x[:-1]).all(axis=1) for x in columns], axis=0)
    starts = np.flatnonzero(np.concatenate([[True], ~again]))
    counts = np.diff(np.append(starts, rate.n))
    place = np.arange(rate.n) - np.repeat(starts, counts)
    return place, np.repeat(counts, counts)
