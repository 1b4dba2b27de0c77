"""From the responses of networks to their memory code, as published and beyond it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from isotau.convert.ground.progress import Progress, silent
from isotau.sim.coding.clusters import compare_groups
from isotau.sim.coding.decoding import HalfLife, by_lag, decode, half_life
from isotau.sim.coding.discriminability import (
    PUBLISHED_TRIALS,
    Discriminability,
    Interval,
    PatternMoments,
    Patterns,
    crop,
    discriminate,
    each,
    over_networks,
    published_patterns,
    random_patterns,
    stability,
)
from isotau.sim.coding.fano import fano_by_group
from isotau.sim.coding.groups import match_rates, split_quartiles
from isotau.sim.coding.memory_code import GROUPS, CodingConfig, GroupCode, MemoryCode
from isotau.sim.coding.responses import Responses, balance, between, mean_rates
from isotau.sim.timescales.records.record import Timescales
from isotau.sim.timescales.records.series import Source

Masks = Sequence[np.ndarray]


class StageData(NamedTuple):
    """What one stage's networks did; one entry per network everywhere."""

    responses: Sequence[Responses]
    timescales: Sequence[Timescales]
    quiet: Sequence[Source] = ()
    """Trials without input, for Fano factors; none to leave them out."""


def published(
    responses: Sequence[Responses],
    timescales: Sequence[Timescales],
    *,
    trials: int | None = PUBLISHED_TRIALS,
) -> dict[str, Discriminability]:
    """Return the discriminability of all, long- and short-τ units, as published.

    R. Kim & T. J. Sejnowski 2021, doi:10.1038/s41593-020-00753-w: odd against even
    trials, units of all networks together, long above the third and short below the
    first quartile of all networks' τ. Their responses are those of `respond` with its
    defaults, in networks that do the task.

    Args:
        responses: of each network.
        timescales: of each network's units.
        trials: of each condition; None for all.

    Raises:
        ValueError: networks that do not go together, too few trials or timescales.
    """
    _check(responses, timescales)
    groups = split_quartiles(timescales)
    patterns = [published_patterns(network, trials=trials) for network in responses]
    chosen = {"all": None, "long": groups.long, "short": groups.short}
    return {name: discriminate(patterns, masks) for name, masks in chosen.items()}


def measure(
    data: StageData,
    rng: np.random.Generator,
    config: CodingConfig | None = None,
    *,
    progress: Progress = silent,
) -> MemoryCode:
    """Return the memory code of a stage's networks.

    Beyond the published measure: as many trials of every label, random halves, long and
    short units matched in number and rate, intervals over networks, a cluster test, and
    cross-validated decoders. A single network has intervals of its half-lives alone,
    over trials.

    Args:
        data: of the stage.
        rng: of all that is drawn.
        config: how; None for the defaults.
        progress: is given the networks as they are decoded.

    Raises:
        ValueError: networks that do not go together, too few trials or timescales, a
            delay outside the trials.
    """
    config = CodingConfig() if config is None else config
    _check(data.responses, data.timescales)
    # With as many trials of every label the second stimulus tells nothing of the first.
    even = [balance(network, rng) for network in data.responses]
    # Matched by what they fire in the delay, in which their code is compared.
    rates = [mean_rates(between(network, *config.delay)) for network in even]
    groups = split_quartiles(data.timescales, config.quantiles)
    # Several draws: which units are paired is chance, and is averaged away.
    pairs = [
        match_rates(groups, rates, rng, factor=config.factor, within=config.within)
        for _ in range(config.draws)
    ]
    sets: dict[str, list[Masks]] = {
        "all": [[np.ones(network.n, dtype=bool) for network in even]],
        "long": [groups.long],
        "short": [groups.short],
        "long_matched": [pair.long for pair in pairs],
        "short_matched": [pair.short for pair in pairs],
    }
    # The whole trial, since pictures show what stands before and after the delay too.
    patterns = [
        random_patterns(
            between(network, -np.inf, np.inf, every=config.step),
            rng,
            splits=config.splits,
        )
        for network in even
    ]
    lives = _half_lives(even, sets, rng, config, progress)
    codes = {
        name: _group(patterns, sets[name], rates, lives[name], config)
        for name in GROUPS
    }
    delay = [crop(network, config.delay) for network in patterns]
    # Matched groups alone: more units, or faster ones, hold more, not for longer.
    matched = [[each(delay, masks) for masks in sets[name]] for name in GROUPS[3:]]

    (more_stable,) = _more_stable(matched, delay[0].times, config)
    clusters, shuffled = compare_groups(
        delay,
        pairs,
        rng,
        lag=config.lag,
        permutations=config.permutations,
        forming=config.forming,
    )
    return MemoryCode(
        groups=codes,
        more_stable=more_stable,
        clusters=clusters,
        shuffled=shuffled,
        edges=groups.edges,
        fano=fano_by_group(
            data.quiet, {"long": groups.long, "short": groups.short}, rng
        ),
        networks=len(even),
        config=config,
    )


def _more_stable(
    matched: Sequence[Sequence[Sequence[PatternMoments]]],
    times: np.ndarray,
    config: CodingConfig,
) -> list[Interval]:
    """Return the stability of matched long units less that of short ones."""

    def difference(*matrices: np.ndarray) -> list[float]:
        long, short = (
            stability(matrix, times, config.delay, lag=config.lag)
            for matrix in matrices
        )
        return [long.ratio - short.ratio]

    return over_networks(matched, difference, level=config.level)


def measure_stages(
    stages: Mapping[str, StageData],
    rng: np.random.Generator,
    config: CodingConfig | None = None,
    *,
    progress: Progress = silent,
) -> dict[str, MemoryCode]:
    """Return the memory code of every stage; all stages draw the same chance.

    Timescales may be each stage's own or, to follow the same units through the stages,
    the first one's in all.

    Args:
        stages: such as "rate", "lif" and "fixed".
        rng: of all that is drawn.
        config: how; None for the defaults.
        progress: is given the networks as they are decoded.

    Raises:
        ValueError: see `measure`.
    """
    # The same draws everywhere, so that stages differ by what they did.
    seed = int(rng.integers(1 << 63))
    return {
        name: measure(data, np.random.default_rng(seed), config, progress=progress)
        for name, data in stages.items()
    }


def _check(responses: Sequence[Responses], timescales: Sequence[Timescales]) -> None:
    """Refuse timescales of other networks than the responses'."""
    # Joined by place alone, units of another network would pass unseen.
    got, need = [t.n for t in timescales], [network.n for network in responses]
    if got != need:
        raise ValueError(
            f"timescales: got networks of {got} units, need {need} as the responses"
        )


def _group(
    patterns: Sequence[Patterns],
    draws: Sequence[Masks],
    rates: Sequence[np.ndarray],
    life: HalfLife | None,
    config: CodingConfig,
) -> GroupCode:
    """Return what one group of units holds, averaged over its draws."""
    # Of all networks' units as one population; intervals leave out a network each.
    whole = [discriminate(patterns, masks) for masks in draws]
    delay = [crop(network, config.delay) for network in patterns]
    times = delay[0].times

    def summed(matrix: np.ndarray) -> tuple[float, ...]:
        return stability(matrix, times, config.delay, lag=config.lag)

    ratio, off, diagonal = over_networks(
        [[each(delay, masks) for masks in draws]], summed, level=config.level
    )
    group_rates = [
        np.concatenate([r[m] for r, m in zip(rates, d, strict=True)]) for d in draws
    ]
    pooled = np.concatenate(group_rates)
    return GroupCode(
        discriminability=Discriminability(
            matrix=np.mean([draw.matrix for draw in whole], axis=0),
            times=whole[0].times,
            units=float(np.mean([draw.units for draw in whole])),
            # A draw may find no pair in a network that another one does.
            networks=max(draw.networks for draw in whole),
            trials=whole[0].trials,
        ),
        stability=ratio,
        off=off,
        diagonal=diagonal,
        half_life=life,
        rate=float(pooled.mean()) if pooled.size else np.nan,
    )


def _half_lives(
    responses: Sequence[Responses],
    sets: Mapping[str, Sequence[Masks]],
    rng: np.random.Generator,
    config: CodingConfig,
    progress: Progress,
) -> dict[str, HalfLife | None]:
    """Return each group's half-life; rows are networks, or the trials of a single."""
    rows: dict[str, list[np.ndarray]] = {name: [] for name in sets}
    lags = np.zeros(0)
    for k in progress(range(len(responses)), "decoding networks"):
        # Coarser than the matrices: each time costs a decoder in every fold.
        network = between(responses[k], *config.delay, every=config.decode_step)
        for name, draws in sets.items():
            curves = []
            for masks in draws:
                # A network without such units says nothing of them.
                if masks[k].any():
                    decoding = decode(
                        network,
                        masks[k],
                        rng=rng,
                        folds=config.folds,
                        train=config.train,
                    )
                    curve, lags = by_lag(decoding, config.train, config.delay[1])
                    curves.append(curve)
            if curves:
                rows[name].append(np.mean(curves, axis=0))
    lives: dict[str, HalfLife | None] = {}
    for name, each_network in rows.items():
        # Networks are what is sampled; trials stand in for them where there is but one.
        if len(responses) > 1:
            each_network = [curve.mean(axis=0)[None] for curve in each_network]
        lives[name] = (
            half_life(
                np.concatenate(each_network),
                lags,
                rng=rng,
                resamples=config.resamples,
                level=config.level,
            )
            if each_network
            else None
        )
    return lives
