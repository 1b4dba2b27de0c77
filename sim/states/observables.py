"""What of a network is watched: its states, its spikes filtered, κ, or its outputs.

All in the rate network's steps, and of every unit, the mean over a unit's copies: what
is compared is the same quantity wherever it is read. Timescales do not depend on the
units it is in: x has none, and i and u are in volts.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.signal import lfilter

from isotau.convert.ground import validation
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes
from isotau.convert.records.stage import Network
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import RateRun, simulate_rate
from isotau.convert.simulate.readout import filter_spikes, network_outputs
from isotau.convert.to_fixed.quantize import messages
from isotau.convert.to_lif.conversion import Conversion, unit_rates
from isotau.convert.to_lif.state_match import mean_over_copies
from isotau.sim.engines.state_at_rest import sampled_currents
from isotau.sim.lowrank.factors import factors
from isotau.sim.lowrank.trajectories import kappa
from isotau.sim.spikes.poisson import observe
from isotau.sim.states.epochs import Epoch, resting, task_epoch
from isotau.sim.states.sequence import StateSource, StateTrials
from isotau.sim.tasks import TASKS
from isotau.sim.tasks.choose_task import choose_task
from isotau.sim.tasks.task import Task

UNITS = {"state": "neurons", "rate": "neurons", "kappa": "κ", "output": "outputs"}
"""Of each observable, in the plural."""
OBSERVABLES = tuple(UNITS)
"""x, i or u; filtered spikes; κ of a low-rank network; outputs."""
FILTER = 0.02
"""Seconds: time constant of the filter of spikes, exp(−t/τ)/τ."""
STEP = 0.005
"""Seconds between samples of networks none of which is a rate network, about."""
Watched = Float64[np.ndarray, "samples trials n"]


class Observer(NamedTuple):
    """Who sees spikes of a rate network.

    Attributes:
        hz: firing rates of the neurons that stand for a run.
        dt: step of the spikes, in seconds.
    """

    hz: Callable[[RateRun], Float64[np.ndarray, "steps trials neurons"]]
    dt: float


def stage_sources(
    rate: RateRNN,
    conversion: Conversion,
    fixed: FixedPointNetwork,
    *,
    observable: str = "state",
    epoch: Epoch | None = None,
) -> tuple[StateSource, ...]:
    """Return where the states of a network come from, stage by stage.

    Spikes of the rate stage are those that a Poisson observer sees of its rates.

    Args:
        rate: the network that was converted.
        conversion: of it.
        fixed: what that became on the chip.
        observable: one of `OBSERVABLES`.
        epoch: what is shown; nothing if not given.

    Raises:
        ValueError: no such observable, or κ of a network without factors.
    """

    observer = Observer(
        lambda run: unit_rates(rate, conversion, run), conversion.constants.dt
    )
    stages: dict[str, Network] = {
        "rate": rate,
        "lif": conversion.network,
        "fixed": fixed,
    }
    return tuple(
        network_source(
            net, name, like=rate, observable=observable, epoch=epoch, observer=observer
        )
        for name, net in stages.items()
    )


def network_source(
    net: Network,
    name: str,
    *,
    like: Network | None = None,
    observable: str = "state",
    epoch: Epoch | None = None,
    observer: Observer | None = None,
) -> StateSource:
    """Return where the states of one network come from.

    Args:
        net: the network.
        name: of it.
        like: network whose units and steps these are, and whose factors give κ; the
            network itself if not given.
        observable: one of `OBSERVABLES`.
        epoch: what is shown; nothing if not given.
        observer: of a rate network's spikes; its rates are filtered if not given.

    Raises:
        ValueError: no such observable, neurons that are no copies of the units, steps
            that do not fit each other, or κ of a network without factors.
    """
    validation.choice("observable", observable, OBSERVABLES)
    like = net if like is None else like
    interval = sampling(like)
    every, copies = round(interval / net.dt), net.n // like.n
    if net.n != copies * like.n:
        raise ValueError(
            f"{name}: got {net.n} neurons, need a multiple of {like.n} units"
        )
    if every < 1 or abs(every * net.dt - interval) > 1e-9 * interval:
        raise ValueError(
            f"{name}: got a step of {net.dt} s, need a whole part of {interval} s"
        )
    show = resting(_shown(net), interval) if epoch is None else epoch
    read = _kappa_of(like) if observable == "kappa" else None

    def watch(inputs: np.ndarray, seed: int, first: int) -> Watched:
        if isinstance(net, RateRNN):
            run = simulate_rate(net, inputs, seed=seed, first_trial=first, keep_x=True)
            rng = np.random.default_rng([seed, first])
            return _of_rate(net, run, observable, observer, rng)
        spiking = observable in ("rate", "output")
        currents, spikes = _run(net, inputs, seed, first, every, spiking)
        if observable == "output":
            return network_outputs(net, spikes)[every - 1 :: every]
        if observable == "rate":
            currents = filter_spikes(spikes, tau=FILTER, every=every)
        return mean_over_copies(currents, copies)

    def draw(trials: int, first: int, length: float, seed: int) -> StateTrials:
        shown = show(trials, first, length, seed)
        x = watch(shown.inputs, seed, first)[shown.before :]
        return StateTrials(x if read is None else read(x), shown.conditions)

    count = {"kappa": _rank(like), "output": net.n_out}.get(observable, like.n)
    return StateSource(
        name=name,
        interval=interval,
        n=count,
        draw=draw,
        held=net.n,
        units=UNITS[observable],
    )


def epoch_of(
    net: Network, epoch: str, task: Task | str | None, interval: float
) -> Epoch:
    """Return what a network is shown in an epoch.

    Args:
        net: the network.
        epoch: rest, fixation, delay or after; all but rest need a task.
        task: what is shown, or its name.
        interval: seconds between two samples.

    Raises:
        ValueError: an epoch without a task, or a task that is not known or of networks
            of other inputs.
    """
    if task is None:
        if epoch != "rest":
            raise ValueError(f"task: got none, need the task whose {epoch} is watched")
        return resting(_shown(net), interval)
    if isinstance(task, str):
        validation.choice("task", task, tuple(TASKS))
        task = choose_task(net, task) if isinstance(net, RateRNN) else TASKS[task]
    if _shown(net) != task.n_in:
        raise ValueError(
            f"task: got {task.name} of {task.n_in} inputs, need one of the network's "
            f"{_shown(net)}"
        )
    return task_epoch(epoch, task, interval)


def _shown(net: Network) -> int:
    """Return how many channels are shown something; others have noise alone."""
    return net.n_in if isinstance(net, RateRNN) else net.n_shown


def sampling(net: Network) -> float:
    """Return the seconds between samples of a network.

    The step of a rate network; of others the whole number of steps nearest `STEP`.
    """
    if isinstance(net, RateRNN):
        return net.dt
    return net.dt * max(1, round(STEP / net.dt))


def _rank(net: Network) -> int:
    """Return how many κ a network has."""
    return net.rank if isinstance(net, RateRNN) else 0


def _kappa_of(net: Network) -> Callable[[Watched], Watched]:
    """Return what gives κ of states; what is constant in them does not matter.

    Raises:
        ValueError: a network without factors.
    """
    if not isinstance(net, RateRNN) or not net.rank:
        raise ValueError(
            "observable: got kappa for a network without factors, need a low-rank rate "
            "network; take state"
        )
    m_vectors = factors(net).m_vectors
    return lambda x: kappa(x, m_vectors)


def _of_rate(
    net: RateRNN,
    run: RateRun,
    observable: str,
    observer: Observer | None,
    rng: np.random.Generator,
) -> Watched:
    """Return what is watched of a run of a rate network."""
    assert run.x is not None
    if observable == "output":
        return run.outputs
    if observable != "rate":
        return run.x
    if observer is None:
        keep = np.exp(-net.dt / FILTER)
        return np.asarray(lfilter([1 - keep], [1, -keep], run.rates, axis=0))
    hz = observer.hz(run)
    spikes = observe(
        hz,
        dt_rates=net.dt,
        inverse_lambda=1.0,
        dt=observer.dt,
        rng=rng,
        network=net.fingerprint,
    )
    seen = filter_spikes(spikes, tau=FILTER, every=round(net.dt / observer.dt))
    return mean_over_copies(seen, hz.shape[-1] // net.n)


def _run(
    net: LIFNetwork | FixedPointNetwork,
    inputs: np.ndarray,
    seed: int,
    first: int,
    every: int,
    spikes: bool,
) -> tuple[Watched, Spikes]:
    """Return currents at the end of every so many steps, in volts, and the spikes."""
    fine = np.repeat(inputs, every, axis=0)
    if isinstance(net, FixedPointNetwork):
        sent = messages(net, fine, seed=seed, first_trial=first)
        return sampled_currents(net, sent, seed=seed, first_trial=first, every=every)
    run = simulate_lif(
        net,
        fine,
        seed=seed,
        first_trial=first,
        record=("i",),
        every=every,
        keep_spikes=spikes,
    )
    assert run.i is not None
    return run.i, run.spikes
