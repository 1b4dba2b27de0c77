"""Poisson spikes of a rate network: what an observer of ideal neurons would record."""

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground import validation
from isotau.convert.records import spikes as packed
from isotau.convert.records.spikes import Spikes

NAME = "rate"


def observe(
    rates: Float64[np.ndarray, "steps batch n"],
    *,
    dt_rates: float,
    inverse_lambda: float,
    dt: float,
    rng: np.random.Generator,
    network: str = "",
) -> Spikes:
    """Return spikes drawn from rates, each rate held for dt_rates/dt steps.

    In every step of dt a neuron spikes with probability rate · inverse_lambda · dt,
    independently of all else: a Bernoulli train, which is Poisson as dt → 0 and has
    the rate's mean at any dt, but at most one spike per step.

    Args:
        rates: of a rate network, at least 0.
        dt_rates: step of the rates, in seconds.
        inverse_lambda: what a rate of 1 stands for, in Hz.
        dt: step of the spikes, in seconds; a whole fraction of dt_rates.
        rng: source of the spikes.
        network: fingerprint of the rate network.

    Raises:
        ValueError: a negative rate, a probability above 1, a dt that does not divide
            dt_rates.
    """
    validation.length("rates", rates, ndim=3)
    steps, batch, n = np.shape(rates)
    rates = validation.floats(
        "rates", rates, (steps, batch, n), "steps × batch × unit", minimum=0
    )
    dt = validation.number("dt", dt, positive=True)
    dt_rates = validation.number("dt_rates", dt_rates, positive=True)
    inverse_lambda = validation.number("inverse_lambda", inverse_lambda, positive=True)
    steps_per_rate = round(dt_rates / dt)
    if steps_per_rate < 1 or abs(steps_per_rate * dt - dt_rates) > 1e-9 * dt_rates:
        raise ValueError(
            f"dt: got {dt} s, need a whole fraction of the rates' {dt_rates} s"
        )
    # More than one spike in a step cannot be drawn, and the mean would be too low.
    highest = float(rates.max(initial=0.0)) * inverse_lambda * dt
    if highest > 1:
        raise ValueError(
            f"dt: got a spike probability of {highest:.3g} per step of {dt} s, need at "
            "most 1; shorten dt or lower inverse_lambda"
        )
    bits = np.empty((steps * steps_per_rate, batch, (n + 7) // 8), dtype=np.uint8)
    for t in range(steps):
        # (R13); single precision, which halves the time of the draws.
        chance = (rates[t] * (inverse_lambda * dt)).astype(np.float32)
        raster = rng.random((steps_per_rate, batch, n), dtype=np.float32) < chance
        start = t * steps_per_rate
        bits[start : start + steps_per_rate] = packed.pack(raster)
    return Spikes(bits=bits, n=n, dt=dt, engine=NAME, network=network)


def poisson_like(spikes: Spikes, rng: np.random.Generator) -> Spikes:
    """Return Poisson neurons with each neuron's mean rate, in as many trials.

    What an estimator finds in them, it finds where there is no timescale.
    """
    length = spikes.steps * spikes.dt
    # One rate for all trials and steps: no timescale, and no drift either.
    rates = packed.count(spikes, width=spikes.steps).mean(axis=(0, 1)) / length
    return observe(
        np.broadcast_to(rates, (1, spikes.batch, spikes.n)),
        dt_rates=length,
        inverse_lambda=1.0,
        dt=spikes.dt,
        rng=rng,
    )
