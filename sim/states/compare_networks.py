"""Two networks compared by what they remember, whatever kind each of them is."""

from isotau.convert.records.rate import RateRNN
from isotau.convert.records.stage import Network, stage_name
from isotau.sim.states.comparison import StateComparison
from isotau.sim.states.decide import Margins
from isotau.sim.states.observables import epoch_of, network_source, sampling
from isotau.sim.states.sequence import StateBudget, compare_states
from isotau.sim.tasks.task import Task


def compare(
    a: Network,
    b: Network,
    *,
    observable: str = "state",
    epoch: str = "rest",
    task: Task | str | None = None,
    margins: Margins | None = None,
    budget: StateBudget | None = None,
    seed: int = 0,
) -> StateComparison:
    """Return whether two networks share their timescales, unit by unit.

    Trials are added until it is decided or the budget is spent. `sentence` says in
    words what was found, and `to_frame` of the result has every unit.

    Args:
        a: a rate, LIF or fixed-point network.
        b: another one of the same units; a LIF or fixed-point network may have several
            neurons for each, side by side, of which the mean is compared.
        observable: state (x, i or u), rate (spikes filtered with 20 ms; a rate
            network's rates), kappa (of a low-rank rate network's modes), or output.
        epoch: rest, fixation, delay or after; all but rest need a task.
        task: what is shown, or its name.
        margins: what counts as preserved.
        budget: what it may cost; half a minute if not given.
        seed: of all noise.

    Raises:
        ValueError: an epoch without a task, or networks that do not fit each other, the
            task or the observable.
    """
    # The rate network's units and steps, or those of the one with fewer neurons.
    like = min((a, b), key=lambda net: (not isinstance(net, RateRNN), net.n))
    names = [stage_name(net) for net in (a, b)]
    if names[0] == names[1]:
        names = [f"{name} {letter}" for name, letter in zip(names, "ab", strict=True)]
    # Both have to fit what is shown to the one whose steps these are.
    interval = sampling(like)
    fitting = [epoch_of(net, epoch, task, interval) for net in (a, b)]
    shown = fitting[0 if like is a else 1]
    sources = [
        network_source(net, name, like=like, observable=observable, epoch=shown)
        for net, name in zip((a, b), names, strict=True)
    ]
    (found,) = compare_states(
        sources,
        [(names[0], names[1])],
        margins=margins,
        budget=budget,
        seed=seed,
    )
    return found
