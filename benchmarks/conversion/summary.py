"""A study's figures over its networks: shares, means, medians, extremes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import binomtest

from benchmarks.conversion.studies import STUDIES

LEARNED = 0.95
"""Accuracy of the rate network from which a network counts at all."""
TITLES = {
    "go-nogo": "Go-NoGo, N = 200, τ 20–50 ms, sigmoid, Dale",
    "mante": "Mante, N = 250, τ 20–50 ms, sigmoid, Dale",
    "dms-750": "DMS with a delay of 750 ms, N = 200, τ 20–125 ms, sigmoid, Dale",
    "relu": "Go-NoGo, N = 200, relu, Dale",
    "softplus": "Go-NoGo, N = 200, softplus, Dale",
    "lif": "Go-NoGo, N = 200, trained with the LIF neuron's own f–I curve, Dale",
    "rdm": "Random dots, rank 1, N = 512, tanh",
    "mante-lowrank": "Mante (low-rank family), rank 1, N = 512, tanh",
    "romo": "Romo, rank 2, N = 512, tanh",
    "dms-lowrank": "DMS with 0.5–3 s of delay, rank 2, N = 512, tanh",
    "dms-full-rank": "DMS with 0.5–3 s of delay, full rank, N = 512, tanh",
}


def summarize(name: str, figures: dict[str, Any]) -> dict[str, Any]:
    """Return a study's figures over its networks.

    Args:
        name: of the study.
        figures: those of its training and of each network.
    """
    nets = figures["networks"]
    learned = [net for net in nets if net["rate"]["accuracy"] >= LEARNED]
    summary: dict[str, Any] = {
        "title": TITLES[name],
        "needed": STUDIES[name].least,
        "tried": len(nets),
        "learned": len(learned),
        "training": figures["training"],
        "rate": _stage(learned, lambda net: net["rate"]),
    }
    for method in ("calibrate", "scale"):
        # λ is searched for in some of the networks only, since it takes minutes each.
        converted = [net for net in learned if method in net]
        if converted:
            summary[method] = _method(name, converted, method)
    kappas = [net["kappa"] for net in learned if "kappa" in net]
    if kappas:
        summary["kappa"] = {
            figure: [min(row), float(np.median(row)), max(row)]
            for figure in ("nrmse", "correlation")
            for row in [[value for kappa in kappas for value in kappa[figure]]]
        }
    return summary


def _method(name: str, nets: list[dict[str, Any]], method: str) -> dict[str, Any]:
    """Return what one way of conversion gives at both stages after the rate network."""
    summary: dict[str, Any] = {
        "networks": len(nets),
        "median_seconds": float(np.median([net[method]["seconds"] for net in nets])),
        "median_unit_mv": float(np.median([net[method]["unit_mv"] for net in nets])),
    }
    for stage in ("lif", "fixed"):
        figures = _stage(nets, lambda net, stage=stage: net[method][stage])
        right = sum(_is_right(name, net, method, stage) for net in nets)
        # Wilson's, since the usual interval has no width at a share of 1.
        interval = binomtest(right, len(nets)).proportion_ci(method="wilson")
        summary[stage] = figures | {
            "right": right,
            "share": right / len(nets),
            "interval": [float(interval.low), float(interval.high)],
            "median_hz": float(np.median([n[method][stage]["rate_hz"] for n in nets])),
        }
    return summary


def _is_right(name: str, net: dict[str, Any], method: str, stage: str) -> bool:
    least = STUDIES[name].least
    if least is None:
        least = net["rate"]["accuracy"] - 0.03
    return bool(net[method][stage]["accuracy"] >= least)


def _stage(
    nets: list[dict[str, Any]], pick: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Return mean, least and greatest of each figure of a stage."""
    figures = ("accuracy", "strict", "amplitude", "rms_to_rate")
    values = {name: [pick(net)[name] for net in nets] for name in figures}
    # Where no network has learned its task there is nothing to take a mean of.
    return {
        name: {"mean": float(np.mean(row)), "least": min(row), "greatest": max(row)}
        for name, row in values.items()
        if row
    }
