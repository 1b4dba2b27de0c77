"""The calibration of a network is chosen by looking: at its answers and at its state.

Which neuron suits a unit, and how the weights are fitted, differs from network to
network; a choice that keeps the timescales of one throws another into another state.
So calibrations are tried one after another and looked at on trials that no fit has
seen. Among those that answer as well as the rate network that one is taken whose state
differs least from the rate network's, in what it remembers and in what its units have
in common, without input and in the task. First the neurons' working points are tried,
then one further choice at a time, then more neurons for each unit, and last synapses
are trimmed (`trim_tau`).
"""

import dataclasses
import time
from collections.abc import Iterator

from isotau.convert.ground.progress import Progress
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Score, Trials, subset
from isotau.convert.to_lif.change_variables import replicate
from isotau.convert.to_lif.choice_search import (
    Budget,
    ChoiceSearch,
    TriedChoice,
    Try,
    distance_of,
    reference_states,
)
from isotau.convert.to_lif.conversion import Candidate, Conversion
from isotau.convert.to_lif.teacher import CalibrateConfig

FITTED = 2 / 3
"""Share of the trials that the weights are fitted on; the others choose."""
WorkingPoints = tuple[tuple[float, float | None], ...]
ATTEMPTS: WorkingPoints = ((1.0, None), (2.0, 0.0), (0.5, None), (2.0, None))
"""Multiples of the calibration's swing, and offsets (`CalibrateConfig`), tried in turn
until one is good enough."""
CARRIED: WorkingPoints = ((4.0, 40e-3), (6.0, 60e-3), (2.0, 20e-3), (2.0, None))
"""What is tried before these where noise is carried. The more a state moves its neuron
the less a spike counts, and with it the rhythm of regular spikes; a neuron far above
threshold answers it by a line, and in time."""
FIRST: dict[str, WorkingPoints] = {
    "softplus": ((2.0, 0.0),),
    "relu": ((1.0, -4e-3),),
}
"""What is tried before these. A softplus unit far below zero still says something, and
a relu unit just below it is about to, where the neuron nearest in shape is silent."""
FIRMER, QUIETER, NOISIER = 10.0, 3.0, 3.0
"""Factors on the ridge, the trials without input and the membrane noise."""
SLOW = 1.02
"""Ratio of τ beyond which a lag is tried."""


def choose(
    rate: RateRNN,
    trials: Trials,
    *,
    score: Score,
    seed: int,
    config: CalibrateConfig,
    constants: LIFConstants,
    copies: int,
    budget: Budget,
    good_enough: float,
    progress: Progress,
) -> Conversion:
    """Return the best calibration of a rate network that was found.

    Args:
        rate: the network.
        trials: what it is shown, in its own steps, at least 4.
        score: the task's rule.
        seed: of all noise.
        config: of the calibration; swings and ridges tried are multiples of its own.
        constants: of the neurons.
        copies: neurons for each unit, at least.
        budget: what the conversion may cost.
        good_enough: accuracy, as a fraction of the rate network's on the same trials.
        progress: is given the steps as they pass.
    """
    begun = time.monotonic()
    # judged on others, or the fit with the most freedom would win; two of each kind
    # at least, as moments are about the mean of the trials
    fitted = min(max(2, round(FITTED * trials.batch)), trials.batch - 2)
    judged = subset(trials, slice(fitted, None))
    carried = rate.noisy and config.current_noise > 0
    outputs, reference = reference_states(rate, judged, seed, look=carried)
    search = ChoiceSearch(
        rate=rate,
        fitted=subset(trials, slice(0, fitted)),
        judged=judged,
        score=score,
        seed=seed,
        # a share of what the rate network itself can do, which may be little
        enough=good_enough * float(score(outputs, judged).mean()),
        budget=budget,
        reference=reference,
        progress=progress,
        stop=begun + budget.seconds,
        trims=carried and config.trim,
    )
    base = Try(config, constants, copies)
    ended = _search(search, base)
    assert search.best is not None
    # whatever the clock says: there is time kept for it
    if search.trims and search.is_right(search.best.candidate):
        search.trim()
    best = search.best
    wide = rate if best.tried.copies == 1 else replicate(rate, best.tried.copies)
    return Conversion(
        network=best.calibration.networks[-1],
        rate=wide,
        constants=best.calibration.constants,
        method="calibrate",
        chosen=best.candidate,
        candidates=tuple(search.candidates),
        residual=best.calibration.residual,
        state_floor=None if reference is None else reference.floor,
        why=_why(search, best.candidate, ended),
    )


def _search(search: ChoiceSearch, base: Try) -> str:
    """Try one thing after another; return what ended it."""
    carried = search.reference is not None
    first = FIRST.get(search.rate.activation, ())
    early = len(first) + len(CARRIED) * carried
    points = (*first, *(CARRIED if carried else ()), *ATTEMPTS)
    for number, tried in enumerate(_at_points(base, points), 1):
        # the points behind the first are for networks that are not right yet
        if number > early and any(map(search.is_right, search.candidates)):
            break
        # a network that is of no use is no saving
        if any(map(search.is_right, search.candidates)) and not search.has_time():
            return "time"
        search.attempt(tried, every_round=not carried)
        if search.is_close():
            return "close"
    if not carried or search.best is None or not search.is_right(search.best.candidate):
        return "all"
    for vary in VARIATIONS:
        if (varied := vary(search.best)) is not None:
            if not search.has_time():
                return "time"
            search.attempt(varied)
            if search.is_close():
                return "close"
    while 2 * search.best.tried.copies <= search.budget.copies:
        more = 2 * search.best.tried.copies
        if not search.has_time(2.0):  # twice the neurons
            return "time"
        search.attempt(search.best.tried._replace(copies=more), every_round=False)
        if search.is_close():
            return "close"
        if search.best.tried.copies < more:
            break  # more did no good
    return "all"


def _at_points(base: Try, points: WorkingPoints) -> Iterator[Try]:
    """Yield what is tried at each of the working points, each once."""
    config = base.config
    pairs = [
        (factor, offset if config.offset is None else config.offset)
        for factor, offset in points
    ]
    # with an offset of the user's own, some of them fall together
    for factor, offset in dict.fromkeys(pairs):
        swing = factor * config.swing
        yield base._replace(
            config=dataclasses.replace(config, swing=swing, offset=offset)
        )


def _firmer(best: TriedChoice) -> Try:
    """Weights nearer to the rate network's own: least squares takes noise for doubt."""
    config = best.tried.config
    return best.tried._replace(
        config=dataclasses.replace(config, ridge=FIRMER * config.ridge)
    )


def _quieter(best: TriedChoice) -> Try:
    """More trials without input: large states of a task say little of rest."""
    config = best.tried.config
    return best.tried._replace(
        config=dataclasses.replace(config, rest=QUIETER * config.rest)
    )


def _sooner(best: TriedChoice) -> Try | None:
    """Faster synapses, where neurons are too slow: for the delay of their own."""
    ratio, config = best.candidate.tau_ratio, best.tried.config
    if ratio is None or ratio < SLOW:
        return None
    lag = config.lag + best.tried.constants.dt
    return best.tried._replace(config=dataclasses.replace(config, lag=lag))


def _noisier(best: TriedChoice) -> Try | None:
    """More membrane noise, where there may be some: it blurs the rhythm of spikes."""
    if not best.tried.config.membrane_noise:
        return None
    constants = best.tried.constants
    return best.tried._replace(
        constants=dataclasses.replace(
            constants, noise_std=NOISIER * constants.noise_std
        )
    )


VARIATIONS = (_quieter, _sooner, _firmer, _noisier)
"""What is tried at the best so far; None where it does not apply."""


def _why(search: ChoiceSearch, best: Candidate, ended: str) -> str:
    """Return in words why this one, and why no other was looked for."""
    tried = len(search.candidates)
    count = "One network was" if tried == 1 else f"{tried} networks were"
    if not search.is_right(best):
        said = "None of them answers well enough: the best of all."
    elif not search.is_allowed(best):
        said = (
            f"All that answer well enough fire at more than {search.budget.rate:g} Hz: "
            "the one that fires least."
        )
    elif search.reference is None:
        said = "It answers well enough."
    else:
        far = distance_of(best) / search.reference.floor
        said = (
            "Of those that answer well enough its state is nearest to the rate "
            f"network's: {far:.2g} times as far as that of the rate network's next run."
        )
    lost = sum(candidate.elsewhere for candidate in search.candidates)
    if lost:
        said += f" In another state, and left out: {lost}."
    endings = {
        "time": f" The search ended after {search.budget.seconds:g} s.",
        "close": " No nearer one was looked for.",
        "all": "",
    }
    return f"{count} tried. {said}{endings[ended]}"
