"""The continuous-time network of which a `LIFNetwork` is the discretization.

Every neuron obeys τ_mem v' = v_leak − v + i and τ_syn i' = −i, and spikes where v
reaches v_th. Five choices tie it to the steps of the discrete model:

- What enters i is larger by c = (dt/τ_syn)/(1 − e^(−dt/τ_syn)). The discrete i stays at
  its start over a step; so both have the same mean over each step, and a spike delivers
  the same charge.
- Inputs enter at the steps' starts.
- A spike arrives exactly dt later, so that within dt no neuron influences another, and
  each is integrated alone: Morrison, Straube, Plesser & Diesmann 2007,
  doi:10.1162/neco.2007.19.1.47.
- After a spike v is held at v_reset for the refractory period and half a step: the
  discrete model spikes at the end of the step in which v reaches v_th.
- The readout's filter is averaged over each step, so that a spike at t in a step that
  ends at T adds (1 − e^(−(T − t)/τ_out))/dt to it, and e^(−(T − t)/τ_out)·(1 −
  e^(−dt/τ_out))/dt to the next: continuous in t, and for a spike at the step's start
  what the discrete filter has.

There is no membrane noise.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert.records.lif import LIFNetwork, decay_fraction
from isotau.convert.tuning.methods.eventprop_adjoint_kernels import (
    Adjoint,
    retrace_trial,
)
from isotau.convert.tuning.methods.eventprop_kernels import (
    EventNeurons,
    SpikeTrain,
    run_trial,
)

GROUPS = 8
"""Groups of trials whose gradients are added up one after another; the sum does not
depend on the number of threads."""
CLOSEST = 1e-15
"""Least difference of a neuron's rates 1/τ, as a share of 1/τ_mem."""

T = TypeVar("T")


class Events(NamedTuple):
    """What a continuous network did.

    Attributes:
        trains: spikes of each trial.
        filtered: mean of the readout's filter over each step after the lead, in Hz,
            steps × batch × neuron.
        states: of each trial, 2 × steps × neuron: v − v_leak and i when a step begins;
            of no steps unless asked for.
        lead: steps before the filter begins.
    """

    trains: list[SpikeTrain]
    filtered: Float64[np.ndarray, "counted batch n"]
    states: list[np.ndarray]
    lead: int


def neurons_of(net: LIFNetwork) -> EventNeurons:
    """Return a network's constants as the continuous one has them.

    Raises:
        ValueError: a neuron whose synapse and membrane both forget within a step.
    """
    brief = np.maximum(net.tau_mem, net.tau_syn) < net.dt
    # no time within a step is left in which such a neuron would be continuous
    if brief.any():
        j = int(np.argmax(brief))
        raise ValueError(
            f"tau_mem, tau_syn: got {net.tau_mem[j]} and {net.tau_syn[j]} s at [{j}], "
            f"need at least dt = {net.dt} s for one of them in continuous time; choose "
            "another method"
        )
    rates = 1 / net.tau_mem, 1 / net.tau_syn
    return EventNeurons(
        # (V1) and (V2); voltages relative to v_leak, to which u decays
        w=np.ascontiguousarray((net.w_rec * charge(net.tau_syn, net.dt)[:, None]).T),
        threshold=net.v_th - net.v_leak,
        reset=net.v_reset - net.v_leak,
        tau_mem=net.tau_mem,
        tau_syn=net.tau_syn,
        hold=net.refractory + net.dt / 2,  # (V7)
        tau_out=net.tau_out,
        slow=np.minimum(*rates),
        # (V4): never 0, by which k(h) is divided
        gap=np.maximum(np.abs(rates[0] - rates[1]), CLOSEST * rates[0]),
        leads=net.tau_mem >= net.tau_syn,
        dt=net.dt,
    )


def charge(tau: Float64[np.ndarray, " n"], dt: float) -> np.ndarray:
    """Return c = (dt/τ)/(1 − e^(−dt/τ)) (V2), by which more enters i."""
    return dt / (tau * decay_fraction(tau, dt))


def charge_slope(tau: Float64[np.ndarray, " n"], dt: float) -> np.ndarray:
    """Return the derivative of `charge` with respect to τ (V17)."""
    c = charge(tau, dt)
    return c / tau * (c * np.exp(-dt / tau) - 1)


def simulate_events(
    net: LIFNetwork,
    inputs: Float64[np.ndarray, "steps batch n_in"],
    *,
    lead: int = 0,
    keep: bool = False,
    threads: int = 1,
) -> Events:
    """Return what the continuous network does, from its start state.

    Args:
        net: the network; its noise is left out.
        inputs: steps of `net.dt`.
        lead: steps before the readout's filter begins, at f0.
        keep: whether to keep states, for the gradients of τ.
        threads: that share the trials.
    """
    neurons = neurons_of(net)
    c = charge(net.tau_syn, net.dt)
    steps, batch = inputs.shape[:2]
    # (V2): inputs carry c as spikes do
    drive = inputs @ (net.w_in * c[:, None]).T
    filtered = np.empty((steps - lead, batch, net.n))
    filtered[:1] = net.f0
    states = [np.empty((2, steps if keep else 0, net.n)) for _ in range(batch)]

    def run(b: int) -> SpikeTrain:
        u, i = net.v0 - net.v_leak, net.i0 * c
        arrays = (drive[:, b], lead, filtered[:, b], states[b])
        return SpikeTrain(*run_trial(neurons, u, i, *arrays))

    return Events(_share(run, batch, threads), filtered, states, lead)


def gradients(
    net: LIFNetwork,
    inputs: Float64[np.ndarray, "steps batch n_in"],
    events: Events,
    pull: Float64[np.ndarray, "counted batch n"],
    *,
    shallow: float = 0.0,
    cuts: Bool[np.ndarray, " steps"] | None = None,
    threads: int = 1,
) -> dict[str, np.ndarray]:
    """Return a loss's gradients: w_in, w_rec, v_leak, v_th, and with states τ's.

    Args:
        net: the network.
        inputs: those that the events were simulated with.
        events: from `simulate_events`.
        pull: the loss's derivative with respect to `Events.filtered`.
        shallow: least slope of v at a spike that is divided by, as a share of
            (v_th − v_reset)/τ_mem.
        cuts: steps before which no gradient goes; None for none.
        threads: that share the trials.
    """
    neurons, n = neurons_of(net), net.n
    steps, batch = inputs.shape[:2]
    jumps = np.empty((steps, batch, n))
    start = np.empty((2, batch, n))
    cuts = np.zeros(steps, np.bool_) if cuts is None else cuts
    least = shallow * (net.v_th - net.v_reset) / net.tau_mem
    groups = min(GROUPS, batch)

    def back(group: int) -> tuple[np.ndarray, np.ndarray]:
        # a group's own sums: threads must not add to the same numbers
        w, constants = np.zeros((n, n)), np.zeros((4, n))
        for b in range(group, batch, groups):
            adjoint = Adjoint(w, constants, start[:, b], jumps[:, b])
            train, states = events.trains[b], events.states[b]
            retrace_trial(
                *(neurons, train, pull[:, b], events.lead, cuts, least, states, adjoint)
            )
        return w, constants

    parts = _share(back, groups, threads)
    w = np.sum([part[0] for part in parts], axis=0)
    threshold, reset, tau_mem, tau_syn = np.sum([part[1] for part in parts], axis=0)
    c = charge(net.tau_syn, net.dt)
    w_in = jumps.reshape(-1, n).T @ inputs.reshape(-1, net.n_in)
    w_rec = w.T
    # (V15); v_leak moves u, θ and u_r down together
    by_name = {
        "w_in": w_in * c[:, None],
        "w_rec": w_rec * c[:, None],
        "v_leak": -threshold - reset - start[0].sum(axis=0),
        "v_th": threshold,
    }
    if events.states[0].shape[1]:
        # (V16): τ_syn also sets the charge, with which all that enters i is weighted
        of_charge = (w_in * net.w_in).sum(axis=1) + (w_rec * net.w_rec).sum(axis=1)
        of_charge += start[1].sum(axis=0) * net.i0
        by_name["tau_mem"] = tau_mem
        by_name["tau_syn"] = tau_syn + of_charge * charge_slope(net.tau_syn, net.dt)
    return by_name


def _share(work: Callable[[int], T], many: int, threads: int) -> list[T]:
    """Return what work gives for 0, 1, …, done by so many threads."""
    if threads == 1 or many == 1:
        return [work(k) for k in range(many)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, range(many)))
