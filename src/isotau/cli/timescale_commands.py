"""The commands that measure timescales and compare them."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from isotau.cli import options
from isotau.cli.network_commands import configure
from isotau.sim.timescales.estimators.estimator import ESTIMATORS

Estimators = Annotated[
    list[str],
    typer.Option(
        "--method",
        help=f"Estimator: {', '.join(ESTIMATORS)}; may be given several times.",
    ),
]
Networks = Annotated[
    list[Path],
    typer.Argument(
        metavar="NETWORK",
        help="Trained rate networks, of any kind that `isotau run` takes.",
        show_default=False,
    ),
]


def _table(text: str) -> Any:
    """Return an argument that is a table of timescales."""
    return typer.Argument(metavar="CSV", help=text, show_default=False)


@options.spread
def timescales(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="Recorded spikes: NWB, .npz (isotau's or plain arrays), a "
            "Constantinidis-lab .mat or a folder of them. Or networks: of any kind "
            "that `isotau run` takes, .lif.npz or .fixed.npz.",
            show_default=False,
        ),
    ],
    *,
    method: Estimators = ["ml"],  # noqa: B006
    bin_ms: Annotated[
        float | None, options.unset("Width of a bin; each method has its own.")
    ] = None,
    from_ms: Annotated[
        float | None,
        options.unset("Start of the window, from the event or the trial's start."),
    ] = None,
    to_ms: Annotated[float | None, options.unset("End of the window.")] = None,
    align: Annotated[
        str | None,
        options.unset("Event that trials are aligned to: a column or field."),
    ] = None,
    split_ms: Annotated[
        float | None,
        options.unset("NWB: cut every interval into windows of this length."),
    ] = None,
    intervals: Annotated[
        str | None, options.unset("NWB: table of intervals in place of trials.")
    ] = None,
    trials: Annotated[
        list[str] | None,
        options.unset("NWB: trials to take, COLUMN=VALUE; repeatable."),
    ] = None,
    units: Annotated[
        list[str] | None, options.unset("NWB: units to take, COLUMN=VALUE; repeatable.")
    ] = None,
    epoch: Annotated[
        str | None,
        options.unset(
            "Constantinidis: fixation (if not given) or delay. Networks: rest (if not "
            "given), or in --task: fixation, delay or after."
        ),
    ] = None,
    two: Annotated[
        bool, typer.Option("--two", help="Ask for one timescale or two as well (slow).")
    ] = False,
    observable: Annotated[
        str,
        typer.Option(
            help="Networks: what is watched: state (of units or synapses), rate, kappa "
            "(of low-rank networks) or output."
        ),
    ] = "state",
    task: Annotated[
        str | None, options.unset("Networks: the task that they are shown.")
    ] = None,
    budget: Annotated[
        float,
        typer.Option(help="Networks: seconds for which each is watched, at most."),
    ] = 10.0,
    seed: Annotated[int, typer.Option(help="Networks: seed of their noise.")] = 0,
    assumptions: options.AssumedOptions,
    out: options.Out = Path("isotau-timescales"),
) -> None:
    """Measure the timescales of recorded neurons, or of networks.

    Of recordings, prints a line per file and method; leaves every neuron's timescale,
    interval and status as CSV, and a picture. Of networks, prints a sentence per file;
    leaves the timescale of every unit's state as NAME.states.csv.
    """
    # Heavy imports wait until they are needed, so that --help is quick.
    from isotau.cli.progress import bars
    from isotau.jobs.timescales import measure_networks as net_job
    from isotau.jobs.timescales import measure_recorded as job
    from isotau.sim.states import StateBudget

    # What cannot be written is refused before minutes of work, not after.
    options.check_folder(out)
    recordings, networks = net_job.by_kind(files)
    given = {
        f"--{name.replace('_', '-')}"
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    net_job.check_options(given, recordings, networks)
    asked = net_job.NetworkRequest()
    if networks:  # recordings have epochs of other names
        asked = net_job.NetworkRequest(
            observable=observable,
            epoch=epoch or "rest",
            task=task,
            budget=StateBudget(seconds=budget),
            seed=seed,
        )
    opened = net_job.open_networks(networks, asked, assumptions.for_reader())
    # Options that a kind of file does not know are refused by its reader, which can say
    # so; what was not given must not reach it.
    reading = {
        "align": align,
        "split": options.seconds(split_ms),
        "intervals": intervals,
        "trials": _choices("--trials", trials),
        "units": _choices("--units", units),
        "epoch": epoch,
    }
    request = job.MeasureRequest(
        # A method that is named twice is measured once, in the order of naming.
        methods=tuple(dict.fromkeys(method)),
        bin_width=options.seconds(bin_ms),
        start=options.seconds(from_ms),
        stop=options.seconds(to_ms),
        two=two,
        reading={name: value for name, value in reading.items() if value is not None},
    )
    for text in net_job.assumptions(opened):
        typer.echo(text)
    # All files were read before any is measured: a wrong one costs no time.
    if recordings:
        measured = job.measure_files(recordings, request, progress=bars)
        job.write(measured, request, out)
        Console().print(job.table(measured))
        for line in job.remarks(measured):
            typer.echo(line)
    for each in net_job.measure_networks(opened, asked, progress=bars):
        net_job.write(each, out)
        typer.echo(net_job.sentence(each))
    typer.echo(f"Tables{' and pictures' * bool(recordings)}: {out}")


@options.spread
def preserve(
    networks: Networks,
    carrying: options.Carrying,
    assumptions: options.AssumedOptions,
    trials: Annotated[
        int, typer.Option(help="Trials without input in each of a stage's two runs.")
    ] = 200,
    seconds: Annotated[float, typer.Option(help="Length of such a trial.")] = 2.0,
    score_trials: Annotated[
        int, typer.Option(help="Trials of the task on which the stages are scored.")
    ] = 400,
    budget: Annotated[
        float,
        typer.Option(help="Seconds for which a network's states are watched, at most."),
    ] = 30.0,
    observable: Annotated[
        str,
        typer.Option(
            help="What is compared: state (of synapses), rate (spikes filtered), "
            "kappa (of low-rank networks) or output."
        ),
    ] = "state",
    epoch: Annotated[
        str,
        typer.Option(help="When: at rest, or in the task: fixation, delay or after."),
    ] = "rest",
    lava: Annotated[
        bool, typer.Option(help="Compare the chip with Lava as well, bit by bit.")
    ] = True,
    jobs: Annotated[int, typer.Option(help="Networks at a time.")] = 1,
    out: options.Out = Path("isotau-preserved"),
) -> None:
    """Tell whether networks keep their timescales on the way to the chip.

    Converts every network and compares its stages, neuron by neuron: by the states of
    synapses, in as many trials as that takes, and by spikes, as an experimenter would,
    in two runs of each stage. Preserved, shifted, not preserved, or not identifiable.
    Leaves preservation.html to read, with everything behind it.

    Needs about a minute for each network of 200 units, and some minutes for one or two
    alone, whose trials are also left out in turn.
    """
    from isotau.cli.progress import bars
    from isotau.jobs.origin import describe_assumptions, read_networks
    from isotau.jobs.timescales.preserve import PreserveConfig, study_networks
    from isotau.reports import preserve_report, state_report
    from isotau.reports.preserve_page import spikes_in_words
    from isotau.sim.states import StateBudget

    options.check_folder(out)
    nets, common = read_networks(networks, assumptions.for_reader(), carrying.task)
    for text in describe_assumptions(nets):
        typer.echo(text)
    # All fit one task, and so does the first: the configuration is that of all.
    run = configure(
        nets[0].read.net, replace(carrying, task=common), trials=score_trials
    )
    # Quiet trials are this command's own; those of the run are only scored.
    config = PreserveConfig(
        run=run,
        trials=trials,
        length=seconds,
        budget=StateBudget(seconds=budget),
        observable=observable,
        epoch=epoch,
        lava=lava,
    )
    study = study_networks(nets, config, jobs=jobs, progress=bars)
    path = preserve_report.write(study, out)
    report = preserve_report.numbers(study)
    for line in state_report.sentences(report["states"]):
        typer.echo(line)
    Console().print(preserve_report.table(report))
    typer.echo(spikes_in_words(report))
    typer.echo(f"Report: {path}")


def compare(
    a: Annotated[Path, _table("Timescales at stage a, as `isotau timescales` leaves.")],
    b: Annotated[Path, _table("The same neurons at stage b, in the same order.")],
    again_a: Annotated[
        Path | None,
        options.unset("Stage a measured again, with other noise or trials."),
    ] = None,
    again_b: Annotated[Path | None, options.unset("Stage b measured again.")] = None,
    seed: options.Seed = 0,
) -> None:
    """Tell whether two tables of timescales say the same, neuron by neuron.

    For timescales that were measured elsewhere, such as on hardware. Without a repeat
    of each there is no noise floor, and nothing can be told.
    """
    from isotau.jobs.origin import names_of
    from isotau.jobs.timescales.measure_recorded import agreement
    from isotau.sim.preservation import Pair, compare_spikes, lines
    from isotau.sim.timescales.records.record import read_csv

    repeats = again_a, again_b
    # One repeat would set the floor of one stage against no floor of the other.
    if (again_a is None) != (again_b is None):
        raise ValueError("again: got one repeat, need --again-a and --again-b")
    # Raises if one file is given twice: it would agree with itself.
    names_of([path for path in (a, b, *repeats) if path is not None])
    first, second = read_csv(a), read_csv(b)
    first_again, second_again = (
        run if path is None else read_csv(path)
        for path, run in zip(repeats, (first, second), strict=True)
    )
    pair = Pair(
        name=a.stem, a=first, b=second, a_again=first_again, b_again=second_again
    )
    typer.echo(agreement(first, second, ("a", "b")))
    if again_a is None:
        typer.echo(
            "not identifiable: without a repeat of each there is no noise floor. "
            "Measure both again, in other trials or under another seed, and give "
            "--again-a and --again-b."
        )
        return
    for line in lines(compare_spikes([pair], rng=np.random.default_rng(seed))):
        typer.echo(line)


def _choices(option: str, texts: list[str] | None) -> dict[str, list[Any]] | None:
    """Return which values each column may have, numbers also as text."""
    values: dict[str, list[Any]] = {}
    for text in texts or []:
        column, equals, value = text.partition("=")
        if not column or not equals:
            raise ValueError(f"{option}: got {text!r}, need COLUMN=VALUE")
        values.setdefault(column, []).append(value)
        # NWB columns hold numbers or text, and the command line cannot know which.
        if value.replace(".", "", 1).removeprefix("-").isdecimal():
            values[column].append(float(value))
    return values or None
