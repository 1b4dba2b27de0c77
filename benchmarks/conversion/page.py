"""What docs/results/conversion.md says, from the figures in conversion.json."""

from collections.abc import Mapping
from typing import Any

from benchmarks.page import Block, MarkdownTable, PageSection, interval, made_by

METHOD = """\
Membrane noise is on everywhere (SD 1 mV; `scale` on tanh networks fits it). Fit and
choice were made on other trials than those scored, and all stages see the same test
trials. A network counts where its rate accuracy is at least 0.95. Intervals are
Wilson's, 95 %. Nothing was trained by gradient in the conversion. Seeds: 2026 for
training, the network's number for the rest."""
PUBLISHED = {
    "go-nogo": "93 % of nets, mean accuracy 0.982–0.988",
    "mante": "89 % of nets",
    "dms-750": "no rate given",
    "relu": "0 % of nets",
    "softplus": "55 % of nets",
}
"""What Kim, Li & Sejnowski 2019 report, doi:10.1073/pnas.1905926116."""


def conversion_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page."""
    studies, search = figures["summary"], figures["search"]
    return PageSection(
        "Conversion: figures",
        [
            made_by(figures["provenance"], "benchmarks.conversion", "conversion.json"),
            METHOD,
            _success(studies),
            _accuracies(studies),
            *_kappas(studies),
            _one_lambda(studies),
            _times(studies),
            *_search(search),
        ],
    )


def _success(studies: dict[str, Any]) -> PageSection:
    rows = [
        [
            study["title"],
            str(study["tried"]),
            str(study["learned"]),
            *(_share(study["calibrate"][stage]) for stage in ("lif", "fixed")),
            PUBLISHED.get(name, "never done"),
        ]
        for name, study in studies.items()
        if "calibrate" in study
    ]
    head = ["networks", "tried", "rate ≥ 0.95", "LIF ≥ 0.95", "fixed ≥ 0.95"]
    return PageSection(
        "Networks that keep an accuracy of 0.95 (`calibrate`)",
        [MarkdownTable([*head, "published"], rows)],
    )


def _accuracies(studies: dict[str, Any]) -> PageSection:
    rows = []
    for study in studies.values():
        if "calibrate" not in study:
            continue
        stages = {"rate": study["rate"]} | {
            stage: study["calibrate"][stage] for stage in ("lif", "fixed")
        }
        for stage, figures in stages.items():
            amplitude = figures["amplitude"]
            rows.append(
                [
                    study["title"] if stage == "rate" else "",
                    stage,
                    _mean(figures["accuracy"]),
                    _mean(figures["strict"]),
                    interval(*(amplitude[x] for x in ("mean", "least", "greatest"))),
                    f"{figures['rms_to_rate']['mean']:.3f}",
                    f"{figures['median_hz']:.1f}" if "median_hz" in figures else "",
                ]
            )
    return PageSection(
        "Accuracies and outputs (`calibrate`)",
        [
            "Mean over networks (least): published rule, then the strict one. "
            "Amplitude: the largest |output| over the target's, where an answer is "
            "asked for. rms: from the rate network's output, on the steps that count; "
            "noise differs.",
            MarkdownTable(
                ["networks", "stage", "accuracy", "strict", "amplitude", "rms", "Hz"],
                rows,
            ),
        ],
    )


def _kappas(studies: dict[str, Any]) -> list[Block]:
    rows = [
        [
            study["title"],
            *(
                ", ".join(f"{value:.3f}" for value in study["kappa"][figure])
                for figure in ("correlation", "nrmse")
            ),
        ]
        for study in studies.values()
        if "kappa" in study
    ]
    if not rows:
        return []
    return [
        PageSection(
            "Latent trajectories κ of rate and LIF network",
            [
                "Over networks and modes: least, median, greatest. The error is in "
                "units of the standard deviation of the rate network's κ; both have "
                "noise of their own.",
                MarkdownTable(["networks", "correlation", "error"], rows),
            ],
        )
    ]


def _one_lambda(studies: dict[str, Any]) -> PageSection:
    rows = [
        [
            study["title"],
            str(study["scale"]["networks"]),
            *(_share(study["scale"][stage]) for stage in ("lif", "fixed")),
            _mean(study["scale"]["lif"]["accuracy"]),
            f"{study['scale']['median_seconds']:.0f}",
        ]
        for study in studies.values()
        if "scale" in study
    ]
    head = ["networks", "converted", "LIF ≥ 0.95", "fixed ≥ 0.95", "LIF mean (least)"]
    return PageSection(
        "One λ for the whole network (`scale`)",
        [
            "Analytic start, continuous search, output gain fitted.",
            MarkdownTable([*head, "s"], rows),
        ],
    )


def _times(studies: dict[str, Any]) -> PageSection:
    rows = []
    for study in studies.values():
        training = study["training"]
        seconds = study.get("calibrate", {}).get("median_seconds", float("nan"))
        rows.append(
            [
                study["title"],
                str(training["networks"]),
                str(training["converged"]),
                f"{training['seconds']:.0f}",
                f"{training['median_updates']:.0f}",
                f"{seconds:.0f}",
            ]
        )
    head = ["networks", "trained at once", "converged", "s in all", "updates (median)"]
    return PageSection(
        "Training and conversion times",
        [MarkdownTable([*head, "s to convert (median)"], rows)],
    )


def _search(search: dict[str, Any] | None) -> list[Block]:
    if search is None:
        return []
    rows = [
        ["12 values × 100 trials, N = 200", f"{search['grid_seconds']:.1f}"],
        [
            "analytic start and continuous search, 100 trials",
            f"{search['continuous_search_seconds']:.1f}",
        ],
        [
            "one trial in steps of 0.05 ms, as the original code computes it",
            f"{search['one_original_trial_seconds']:.2f}",
        ],
        ["1200 of them", f"{search['original_grid_seconds']:.0f}"],
    ]
    return [PageSection("The search for λ", [MarkdownTable(["", "s"], rows)])]


def _share(figures: dict[str, Any]) -> str:
    shares = (100 * share for share in (figures["share"], *figures["interval"]))
    return interval(*shares, ".0f", " %")


def _mean(figures: dict[str, float]) -> str:
    return f"{figures['mean']:.3f} ({figures['least']:.3f})"
