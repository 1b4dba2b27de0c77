"""What tuning for timescales aims at: a reference's autocovariances, or a user's wish.

The reference is the rate network, whose states are x, or a LIF network, whose states
are its currents in units of x. A user's timescales (`WantedTimescales`) give the shape;
where they say nothing of the variance it is that of the network before tuning.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.wanted_timescales import WantedTimescales
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.tuning.loss.autocovariance_loss import (
    AutocovarianceTarget,
    check_lags,
    estimate,
    unit_states,
)

SAMPLES = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Lags where the user asks for none, in samples."""
LONGEST = 0.3
"""The longest of them, in seconds."""
HELD = 1 << 24
"""States that are held at a time."""


class Look(NamedTuple):
    """What a network is shown, and where its states are looked at.

    Attributes:
        shown: takes a step in seconds; returns inputs in such steps, with what stands
            before the trials.
        lead: seconds of that.
        seed: of the noise.
    """

    shown: Callable[[float], np.ndarray]
    lead: float
    seed: int


def aim_at(
    *,
    volts: Float64[np.ndarray, " n"],
    copies: int = 1,
    interval: float,
    lags: Sequence[float] = (),
    epoch: tuple[float, float] | None = None,
    weight: float = 1.0,
    amplitude: float = 1.0,
    wanted: WantedTimescales | None = None,
) -> AutocovarianceTarget:
    """Return a target whose curves are still to be measured: 1 at every lag.

    Args:
        volts: that stand for 1 of the state, one for each neuron.
        copies: neurons for each unit.
        interval: seconds between two samples.
        lags: in seconds, from 0; empty for some up to 0.3 s.
        epoch: of the task's trials; None for trials without input.
        weight: factor on the loss.
        amplitude: what errors along the curve itself count, 0 … 1.
        wanted: whose curves may end before that.

    Raises:
        ValueError: lags that do not rise from 0 by whole intervals.
    """
    if lags:
        chosen = check_lags(np.array(lags), len(lags), interval)
    else:
        longest = LONGEST
        if wanted is not None and wanted.lags is not None:
            longest = min(longest, float(wanted.lags[-1]))
        chosen = interval * np.array(SAMPLES)
        chosen = chosen[chosen <= longest * (1 + 1e-9)]
    units = len(volts) // copies
    return AutocovarianceTarget(
        covariance=np.ones((len(chosen), units)),
        lags=chosen,
        interval=interval,
        volts=volts,
        copies=copies,
        epoch=epoch,
        reliability=np.ones(units),
        weight=weight,
        amplitude=amplitude,
    )


def target_of_rate(
    rate: RateRNN, look: Look, aim: AutocovarianceTarget
) -> AutocovarianceTarget:
    """Return an aim with the autocovariances of a rate network's x.

    Raises:
        ValueError: no unit's x varies over trials.
    """
    inputs, every = look.shown(rate.dt), aim.steps(aim.interval, rate.dt)
    lead = round(look.lead / rate.dt)
    states = []
    # A few trials at a time: x of all steps is what fills the memory.
    size = max(1, HELD // (inputs.shape[0] * rate.n))
    for start in range(0, inputs.shape[1], size):
        part = inputs[:, start : start + size]
        run = simulate_rate(rate, part, seed=look.seed, first_trial=start, keep_x=True)
        assert run.x is not None
        states.append(run.x[lead + every - 1 :: every].copy())
    chosen = np.concatenate(states, axis=1)[aim.within(rate.dt, every, every)]
    return _measured(aim, _covariance(torch.from_numpy(chosen), aim))


def target_of_lif(
    net: LIFNetwork,
    look: Look,
    aim: AutocovarianceTarget,
    *,
    wanted: WantedTimescales | None = None,
    progress: Progress = silent,
) -> AutocovarianceTarget:
    """Return an aim with a LIF network's own autocovariances, or a user's.

    Args:
        net: the network before tuning.
        look: where its states are looked at.
        aim: to be filled.
        wanted: the user's; None for the network's own.
        progress: is given the steps as they pass.

    Raises:
        ValueError: no state varies over trials; timescales that do not fit the units.
    """
    given = wanted is not None and wanted.variance is not None
    if wanted is not None and given and wanted.n == len(aim.reliability):
        return _measured(aim, wanted.curves(aim.lags) * wanted.variance)
    own = _of_lif(net, look, aim, progress)
    if wanted is not None:
        own = assigned(wanted, own, aim.lags) * own[0]
    return _measured(aim, own)


def assigned(
    wanted: WantedTimescales,
    own: Float64[np.ndarray, "lags units"],
    lags: Float64[np.ndarray, " lags"],
) -> Float64[np.ndarray, "lags units"]:
    """Return a user's autocorrelations, one for each unit.

    As many neurons as units are taken one by one. Of fewer or more, such as recorded
    ones, the units get the distribution: τ at the same rank as a unit's own
    autocorrelation has, by its mean over lags.

    Args:
        wanted: of some neurons.
        own: autocovariances of the units.
        lags: in seconds.

    Raises:
        ValueError: curves, which have no order, of another number of neurons.
    """
    units = own.shape[1]
    if wanted.n == units:
        return wanted.curves(lags)
    if wanted.tau is None:
        raise ValueError(
            f"timescales: got curves of {wanted.n} neurons, need {units}, one for each "
            "unit; give tau, whose distribution can be spread over units"
        )
    memory = (own / np.where(own[0] > 0, own[0], np.inf)).mean(axis=0)
    rank = np.argsort(np.argsort(memory))
    known = wanted.tau[np.isfinite(wanted.tau)]
    tau = np.quantile(known, (rank + 0.5) / units)
    return WantedTimescales(tau=tau).curves(lags)


def _of_lif(
    net: LIFNetwork, look: Look, aim: AutocovarianceTarget, progress: Progress
) -> Float64[np.ndarray, "lags units"]:
    """Return the autocovariances of a LIF network's states, in a target's units."""
    every, lead = aim.steps(aim.interval, net.dt), round(look.lead / net.dt)
    run = simulate_lif(
        net,
        # samples are counted from the trial on: a lead that does not fit is cut
        look.shown(net.dt)[lead % every :],
        seed=look.seed,
        record=("i",),
        every=every,
        keep_spikes=False,
        progress=progress,
    )
    assert run.i is not None
    chosen = run.i[lead // every :][aim.within(net.dt, every, every)]
    return _covariance(unit_states(torch.from_numpy(chosen).double(), aim), aim)


def _covariance(states: torch.Tensor, aim: AutocovarianceTarget) -> np.ndarray:
    # by the same function as the batches, or a bias would be an error to be tuned away
    lags = [round(lag / aim.interval) for lag in aim.lags]
    return np.asarray(estimate(states, lags).numpy())


def _measured(
    aim: AutocovarianceTarget, covariance: np.ndarray
) -> AutocovarianceTarget:
    """Return a target with curves; units that are not known or do not move rest."""
    moving = np.isfinite(covariance).all(axis=0) & (covariance[0] > 0)
    if not moving.any():
        raise ValueError(
            "timescales: got states that do not vary over trials, need some that do; "
            "give the network noise, or leave the timescale term out"
        )
    return replace(
        aim,
        covariance=np.where(moving, covariance, 0.0),
        reliability=moving.astype(np.float64),
    )
