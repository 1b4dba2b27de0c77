"""From pairs of timescales to `Preservation`."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from scipy import stats

from isotau.sim.preservation import agreement, pairings
from isotau.sim.preservation.agreement import covariates
from isotau.sim.preservation.attrition import attrition, censored
from isotau.sim.preservation.bootstrap import Level, Sums, resample, totals
from isotau.sim.preservation.config import PreservationConfig, chance_of
from isotau.sim.preservation.distribution import distances
from isotau.sim.preservation.endpoints import endpoints, network_shift, with_margins
from isotau.sim.preservation.pair import Pair, log_ratios, log_tau
from isotau.sim.preservation.pairings import mean_of_defined
from isotau.sim.preservation.preservation import NetworkResult, Preservation
from isotau.sim.preservation.verdict import (
    UNKNOWN,
    Ends,
    Estimate,
    containing,
    jackknife_error,
    percentile_ends,
    signed_root,
    t_interval,
)


def compare_spikes(
    pairs: Sequence[Pair],
    config: PreservationConfig | None = None,
    *,
    rng: np.random.Generator,
) -> Preservation:
    """Return whether stage b has the timescales of stage a, over networks.

    A network has a say if enough of its neurons have a timescale in both runs of stage
    a, and more than chance would give one. What stage b lost never leaves a network
    out: it counts as loss.

    Args:
        pairs: one per network, all by the same estimator.
        config: margins and error rates, to be chosen before looking.
        rng: of the bootstrap and of permutations.

    Raises:
        ValueError: no pair, two of a name, or several estimators.
    """
    config = config or PreservationConfig()
    _check(pairs)
    reasons = [_why_not(pair, config) for pair in pairs]
    saying = [pair for pair, why in zip(pairs, reasons, strict=True) if not why]
    left_out = [
        (pair.name, why) for pair, why in zip(pairs, reasons, strict=True) if why
    ]
    unknown = Estimate(value=np.nan)
    decided = with_margins(unknown, unknown, unknown, config)
    numbers: dict[str, Estimate] = {}
    # Without a network that has a say the comparison still tells why.
    by_network: tuple[NetworkResult, ...] = ()
    if saying:
        levels = pairings.levels(saying)
        # Draws are of guarded networks: their guards count for the loss alone.
        guarded = pairings.guard(levels)
        fixed = len(saying) < config.min_networks
        draws = resample(guarded, config.draws, rng, fixed=fixed)
        decided = endpoints(levels, guarded, draws, config)
        by_network = tuple(
            _network(pair, level, 1 - 2 * config.alpha)
            for pair, level in zip(saying, levels, strict=True)
        )
        numbers = _numbers(totals(levels)[None], draws, config.level)
        numbers["median_ratio"] = median_ratio(saying, config)
    return Preservation(
        method=pairs[0].a.method,
        endpoints=decided,
        by_network=by_network,
        left_out=tuple(left_out),
        numbers=numbers,
        covariates=covariates(saying, config, rng=rng),
        distances=distances([log_tau(pair) for pair in saying], config.draws, rng)
        if saying
        else None,
        censored=censored(saying, config) if saying else None,
        attrition=attrition((pair.a, pair.b) for pair in pairs),
        attrition_a=attrition((pair.a, pair.a_again) for pair in pairs),
        attrition_b=attrition((pair.b, pair.b_again) for pair in pairs),
        config=config,
    )


def median_ratio(pairs: Sequence[Pair], config: PreservationConfig) -> Estimate:
    """Return the median over neurons of τ_b/τ_a, its log averaged over networks.

    The interval is Student's over networks; of fixed networks, from the order of their
    neurons' ratios, as if these were independent.
    """
    # Networks count alike, however many neurons they have.
    ratios = [d[np.isfinite(d)] for d in map(log_ratios, pairs)]
    medians = np.array([np.median(d) for d in ratios if d.size])
    if not medians.size:
        return Estimate(value=np.nan)
    value = float(medians.mean())
    if len(pairs) >= config.min_networks:
        without = (medians.sum() - medians) / max(medians.size - 1, 1)
        low, high = t_interval(value, *jackknife_error([without]), config.level)
    else:
        # Independent networks' errors add up in squares, on either side by itself.
        ends = np.array([_median_ends(d, config.level) for d in ratios if d.size])
        reach = np.sqrt(((ends - medians[:, None]) ** 2).sum(axis=0)) / medians.size
        low, high = value - reach[0], value + reach[1]
    return Estimate(
        value=float(np.exp(value)), low=float(np.exp(low)), high=float(np.exp(high))
    )


def _median_ends(x: Float64[np.ndarray, " n"], level: float) -> Ends:
    """Return the interval of a median by the order of the numbers (S32)."""
    # The number of ratios below the median is binomial, whatever their distribution.
    rank = int(stats.binom.ppf((1 - level) / 2, x.size, 0.5))
    if rank < 1:  # even the whole range is no interval
        return UNKNOWN
    ordered = np.sort(x)
    return ordered[rank - 1], ordered[-rank]


def _check(pairs: Sequence[Pair]) -> None:
    if not pairs:
        raise ValueError("pairs: got none, need at least one network")
    names = [pair.name for pair in pairs]
    # Most often a file that was given twice.
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"pairs: got {', '.join(twice)} more than once, need every network once; "
            "its neurons would count twice"
        )
    methods = sorted({pair.a.method for pair in pairs})
    if len(methods) > 1:
        raise ValueError(
            f"pairs: got methods {', '.join(methods)}, need one; compare each by itself"
        )


def _why_not(pair: Pair, config: PreservationConfig) -> str:
    """Return why a network has no say, by what its stage a is; "" if it has one."""
    identified = np.isfinite(log_tau(pair)[:2])
    in_both_runs = int(identified.all(axis=0).sum())
    if in_both_runs < config.min_neurons:
        return (
            f"got {in_both_runs} of {pair.n} neurons with a timescale in both runs of "
            f"a, need {config.min_neurons}"
        )
    # The run with fewer, of two that should tell the same.
    fewest = int(identified.sum(axis=1).min())
    # (S17): Clopper and Pearson's lower end of the share that is identified.
    least = float(stats.beta.ppf(config.alpha, fewest, pair.n - fewest + 1))
    chance = chance_of(config, pair.a.method)
    if least <= 2 * chance:
        return (
            f"got {fewest} of {pair.n} neurons with a timescale in a run of a (a share "
            f"of {least:.3f} at least), need more than twice the {chance:g} that have "
            "one by chance"
        )
    return ""


def _network(pair: Pair, level: Level, confidence: float) -> NetworkResult:
    """Return what one network says, by its neurons."""
    sums = totals([level])
    whole, noise = pairings.scatter_parts(sums)
    by_b, by_repeat = pairings.loss(sums)
    counts = pairings.logs(sums).size[0, pairings.CROSS]
    return NetworkResult(
        name=pair.name,
        shift=network_shift(level, confidence),
        scatter=signed_root(float(whole[0] - noise[0])),
        loss=float(by_b[0] - by_repeat[0]),
        neurons=float(counts.mean()),
    )


def _numbers(sums: Sums, resampled: Sums, level: float) -> dict[str, Estimate]:
    """Return the numbers of agreement with their bootstrap intervals."""
    values, draws = agreement.numbers(sums), agreement.numbers(resampled)
    shifts = mean_of_defined(pairings.repeat_shift(resampled), axis=-2)
    repeats = mean_of_defined(pairings.repeat_shift(sums), axis=-2)
    for k, name in enumerate(("repeat_ratio_a", "repeat_ratio_b")):
        values[name], draws[name] = np.exp(repeats[..., k]), np.exp(shifts[..., k])
    return {
        name: containing(float(value[0]), percentile_ends(draws[name], level))
        for name, value in values.items()
    }
