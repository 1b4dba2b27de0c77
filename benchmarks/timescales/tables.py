"""Tables of docs/results/timescales.md: of anything, and of the trained networks."""

from math import exp
from typing import Any

STUDY = {"dms-750": "DMS, delay 750 ms", "mante": "Mante", "go-nogo": "Go-NoGo"}


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table in Markdown."""
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def network_tables(studies: list[dict[str, Any]]) -> list[str]:
    """Return what is said of trained networks."""
    return (
        _preservation(studies)
        + _found(studies)
        + _sensitivity(studies)
        + _memory(studies)
    )


def _ratio(triple: list[float | None]) -> str:
    value, low, high = triple
    if value is None:
        return "–"
    ends = "" if low is None else f" ({exp(low):.2f}–{exp(high or 0):.2f})"
    return f"{exp(value):.2f}{ends}"


def _triple(triple: list[float | None]) -> str:
    value, low, high = triple
    if value is None:
        return "–"
    return f"{value:.2f}" + ("" if low is None else f" ({low:.2f}–{high:.2f})")


def _preservation(studies: list[dict[str, Any]]) -> list[str]:
    rows = []
    for found in studies:
        name = _name(found)
        for stages, said in found["comparisons"].items():
            for method, one in said["methods"].items():
                numbers = one["numbers"]
                rows.append(
                    [
                        name,
                        stages,
                        f"**{said['verdict']}**" if method == "ml" else "",
                        method,
                        one["verdict"],
                        f"{one['n_networks']} of {found['networks']}",
                        _ratio(one["shift"]),
                        _triple(one["scatter"]),
                        _triple(one["loss"]),
                        _triple(numbers.get("correlation", [None] * 3)),
                        _triple(numbers.get("disattenuated", [None] * 3)),
                    ]
                )
                name, stages = "", ""
            rows.append(["", "", "", "curves", said["curves"]["verdict"], *["–"] * 6])
    return [
        "## Trained networks: are timescales preserved?",
        "",
        "Without input, every stage run twice. Verdict in bold: of all estimators",
        "together. Ratio of τ (margin 0.80–1.25), scatter of log τ beyond the repeat's",
        "(margin 0.22), loss of neurons with a timescale beyond the repeat's (margin",
        "0.10); 90 % intervals. Rate stage: seen through a Poisson observer.",
        "",
        *table(
            ["networks", "stages", "verdict", "estimator", "says", "have a say",
             "τ ratio", "scatter", "loss", "correlation", "disattenuated"],
            rows,
        ),
    ]  # fmt: skip


def _found(studies: list[dict[str, Any]]) -> list[str]:
    rows = []
    for found in studies:
        name = _name(found)
        for stage, by_method in found["timescales"].items():
            one = by_method["ml"]
            taus = one["quartiles_s"]
            accuracy = found["accuracy"][stage]
            rows.append(
                [
                    name,
                    stage,
                    f"{sum(accuracy) / len(accuracy):.3f}",
                    f"{one['rate_hz']:.1f}",
                    f"{one['identified']} of {one['neurons']}",
                    "–" if taus is None else f"{1e3 * taus[1]:.0f}",
                    "–" if taus is None else f"{1e3 * taus[0]:.0f}–{1e3 * taus[2]:.0f}",
                ]
            )
            name = ""
        low, middle, high = found["tau_syn_effective"]["ratio_quantiles"]
        rows[-1][1] += (
            f" (τ_syn at the amplitudes visited: {middle:.3f} of nominal, "
            f"{low:.3f}–{high:.3f})"
        )
    return [
        "What was found (`ml`), and what the chip's truncation leaves of the synapses'",
        "time constants (median, 5th and 95th percentile over neurons):",
        "",
        *table(
            ["networks", "stage", "accuracy", "Hz", "with a timescale", "median (ms)",
             "quartiles"],
            rows,
        ),
    ]  # fmt: skip


def _sensitivity(studies: list[dict[str, Any]]) -> list[str]:
    lines = []
    for found in studies:
        swept = found["sensitivity"]
        if swept is None:
            continue
        rows = [
            [f"{100 * error:+.0f} %", *(
                "–" if swept[name][k] is None else f"{swept[name][k]:.2f}"
                for name in ("distance", "shift", "scatter", "loss", "wasserstein")
            ), swept["verdicts"][k]]
            for k, error in enumerate(swept["errors"])
        ]  # fmt: skip
        lines += [
            f"## λ set wrong ({STUDY[found['study']]}, {swept['networks']} networks)",
            "",
            "1/λ too large by so much; the chip against the chip at the right λ. The",
            "distance counts shift, scatter and loss in units of their margins.",
            f"Kendall's τ of distance and error: {swept['trends']['distance']:.2f}.",
            "",
            *table(
                ["error", "distance", "shift", "scatter", "loss", "Wasserstein",
                 "verdict"],
                rows,
            ),
        ]  # fmt: skip
    return lines


def _memory(studies: list[dict[str, Any]]) -> list[str]:
    rows = []
    for found in studies:
        for stage, code in (found["memory_code"] or {}).items():
            if "refused" in code:
                rows.append([_name(found), stage, code["refused"], *["–"] * 6])
                continue
            groups = code["groups"]
            more = code["long_less_short"]
            carries = {True: "yes", False: "no", None: "not shown"}
            rows.append(
                [
                    _name(found),
                    stage,
                    *(_interval(groups[name]["stability"]) for name in
                      ("all", "long", "short", "long_matched", "short_matched")),
                    _interval(more),
                    carries[code["long_carries_stable_code"]],
                ]
            )  # fmt: skip
    if not rows:
        return []
    return [
        "## The memory code in the delay",
        "",
        "Discriminability of the first stimulus between times more than 250 ms apart,",
        "over that at one time (1: a stable code). Long and short: above the third and",
        "below the first quartile of the stage's own τ; matched in number and rate.",
        "Intervals leave out one network in turn.",
        "",
        *table(
            ["networks", "stage", "all", "long", "short", "long, matched",
             "short, matched", "long less short", "long-τ units carry the stable code"],
            rows,
        ),
    ]  # fmt: skip


def _name(found: dict[str, Any]) -> str:
    return f"{STUDY[found['study']]}, {found['method']}"


def _interval(found: dict[str, Any]) -> str:
    return _triple([found["value"], found["low"], found["high"]])
