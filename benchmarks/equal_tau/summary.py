"""Medians over the networks of each family, beside goals and floors; met or missed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.equal_tau.families import FILES, SHIPPED, TRAINED

ALL = "all"
FAMILIES = (*TRAINED, FILES, ALL, SHIPPED)
"""In the order of the page; the networks that come along count in no other."""
LEAST_ACCURACY = 0.95
"""No network may fall below it that had 1.000."""
Network = Mapping[str, Any]


class Goal(NamedTuple):
    """What a figure is to be.

    Attributes:
        low: it must not be below.
        high: nor above; a multiple of the floor if `of_floor`.
        of_floor: whether it is.
    """

    low: float | None = None
    high: float | None = None
    of_floor: bool = False

    def met(self, value: float | None, floor: float | None) -> bool | None:
        """Return whether a value meets it; None where there is nothing to judge."""
        if value is None or (self.of_floor and floor is None):
            return None
        high = self.high
        if self.of_floor and high is not None and floor is not None:
            high *= floor
        return (self.low is None or value >= self.low) and (
            high is None or value <= high
        )

    def text(self) -> str:
        """Return the goal as it stands in a table."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g}–{self.high:g}"
        if self.low is not None:
            return f"≥ {self.low:g}"
        return f"≤ {self.high:g}" + " × floor" * self.of_floor


def state_goals(pair: str, copies: int) -> dict[str, Goal]:
    """Return what the states of one stage beside another's are to be.

    Args:
        pair: of stages.
        copies: neurons for each unit; goals are told for one and for four.
    """
    if pair == "lif to fixed":
        return {"ratio": Goal(0.98, 1.02), "sd_log": Goal(None, 1.2, of_floor=True)}
    several = copies >= 4
    return {
        "ratio": Goal(0.93, 1.07),
        "sd_log": Goal(None, 0.07 if several else 0.15),
        "correlation": Goal(0.98 if several else 0.95, None),
        "acf_rms": Goal(None, 2.0, of_floor=True),
        "sd_ratio": Goal(0.9, 1.1),
    }


OTHER_GOALS = {
    "accuracy lost": Goal(None, 0.005),
    "fallen": Goal(None, 0),
    "spikes with τ": Goal(0.9, None),
    "spikes' τ ratio": Goal(0.8, 1.25),
    "seconds": Goal(None, 60.0),
}


def summarize(networks: Sequence[Network]) -> list[dict[str, Any]]:
    """Return the rows of the table of goals: a cell for every family."""
    rows = []
    for copies in sorted({network["copies"] for network in networks}):
        same = [network for network in networks if network["copies"] == copies]
        for situation in ("rest", "epoch"):
            for pair in ("rate to lif", "rate to fixed", "lif to fixed"):
                for figure, goal in state_goals(pair, copies).items():
                    rows.append(
                        {
                            "copies": copies,
                            "situation": situation,
                            "pair": pair,
                            "figure": figure,
                            "goal": goal.text(),
                            "cells": _cells(
                                same, goal, *_readers(situation, pair, figure)
                            ),
                        }
                    )
        for figure, goal in OTHER_GOALS.items():
            read = OTHER_FIGURES[figure]
            middle = MIDDLES.get(figure, np.median)
            cells = _cells(same, goal, read, _no_floor, middle=middle)
            if any(cell["value"] is not None for cell in cells.values()):
                rows.append(
                    {
                        "copies": copies,
                        "situation": "",
                        "pair": "",
                        "figure": figure,
                        "goal": goal.text(),
                        "cells": cells,
                    }
                )
    return rows


def in_family(network: Network, family: str) -> bool:
    """Return whether a network counts in a family."""
    own = network["family"]
    return own != SHIPPED if family == ALL else own == family


def missed(network: Network) -> list[str]:
    """Return the figures of the LIF network's state at rest that miss their goals."""
    compared = network["states"]["rest"]
    floor, figures = compared["floor"]["rate"], compared["rate to lif"]
    return [
        name
        for name, goal in state_goals("rate to lif", network["copies"]).items()
        if goal.met(figures[name], floor[name]) is False
    ]


def _cells(
    networks: Sequence[Network],
    goal: Goal,
    read: Callable[[Network], float | None],
    floor_of: Callable[[Network], float | None],
    middle: Callable[[Sequence[float]], Any] = np.median,
) -> dict[str, dict[str, Any]]:
    """Return for every family its median, its floor's, and whether the goal is met."""
    cells = {}
    for family in FAMILIES:
        members = [network for network in networks if in_family(network, family)]
        values = [x for x in map(read, members) if x is not None]
        floors = [x for x in map(floor_of, members) if x is not None]
        value = float(middle(values)) if values else None
        floor = float(np.median(floors)) if floors else None
        cells[family] = {
            "networks": len(members),
            "value": value,
            "floor": floor,
            "met": goal.met(value, floor),
        }
    return cells


def _readers(
    situation: str, pair: str, figure: str
) -> tuple[Callable[[Network], float | None], Callable[[Network], float | None]]:
    """Return what reads a figure, and its floor: two runs of the first stage."""
    first = pair.split()[0]

    def read(network: Network) -> float | None:
        value: float | None = network["states"][situation][pair][figure]
        return value

    def floor_of(network: Network) -> float | None:
        value: float | None = network["states"][situation]["floor"][first][figure]
        return value

    return read, floor_of


def _no_floor(network: Network) -> float | None:
    return None


def _accuracy_lost(network: Network) -> float:
    answers = network["answers"]
    return float(answers["rate"]["accuracy"] - answers["fixed"]["accuracy"])


def _fallen(network: Network) -> float:
    answers = network["answers"]
    perfect = answers["rate"]["accuracy"] == 1
    return float(perfect and answers["fixed"]["accuracy"] < LEAST_ACCURACY)


def _with_tau(network: Network) -> float | None:
    spikes = network["spikes"]
    if not spikes or not spikes["rate"]["with_tau"]:
        return None
    return float(spikes["fixed"]["with_tau"] / spikes["rate"]["with_tau"])


def _spikes_ratio(network: Network) -> float | None:
    spikes = network["spikes"]
    return spikes["fixed"]["ratio"] if spikes else None


def _seconds(network: Network) -> float:
    return float(network["seconds"])


OTHER_FIGURES: dict[str, Callable[[Network], float | None]] = {
    "accuracy lost": _accuracy_lost,
    "fallen": _fallen,
    "spikes with τ": _with_tau,
    "spikes' τ ratio": _spikes_ratio,
    "seconds": _seconds,
}
MIDDLES: dict[str, Callable[[Sequence[float]], Any]] = {
    "accuracy lost": np.mean,
    "fallen": np.sum,
}
"""Of figures that are no median over networks."""
