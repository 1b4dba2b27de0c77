"""`isotau tune`: a network tuned by gradient, before and after on the same trials."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from isotau.cli import options
from isotau.convert.ground.errors import describe_findings
from isotau.convert.simulate.trainable import SURROGATES
from isotau.convert.tuning.learner.tune_config import METHODS

if TYPE_CHECKING:
    from isotau.convert.read.conventions import Conventions
    from isotau.convert.records.rate import RateRNN
    from isotau.convert.records.stage import Network
    from isotau.convert.to_fixed.quantize import QuantizeConfig
    from isotau.jobs.run_config import TuningPlan
    from isotau.jobs.tune_network import Tuning
    from isotau.targets.open_network import Opened

CHECKPOINT = "tuning.checkpoint.npz"
SPIKING = ("LIFNetwork", "FixedPointNetwork")


@dataclass(frozen=True, kw_only=True)
class DescentOptions:
    """How gradients are found and followed: fields of `TuneConfig` by their names."""

    method: Annotated[
        str, typer.Option(help=f"Gradients: {options.any_of(METHODS)}")
    ] = "bptt"
    surrogate: Annotated[
        str,
        typer.Option(help=f"Derivative of the spike: {options.any_of(SURROGATES)}"),
    ] = "super"
    width: Annotated[
        float, typer.Option(help="Its width, as a share of v_th − v_reset.")
    ] = 0.1
    damping: Annotated[float, typer.Option(help="Its height at threshold.")] = 0.3
    updates: Annotated[int, typer.Option(help="Updates after which it ends.")] = 200
    batch: Annotated[int, typer.Option(help="Trials per update.")] = 32
    learning_rate: Annotated[
        float, typer.Option(help="Of Adam, in each parameter's typical size.")
    ] = 0.01
    halve_every: Annotated[int, typer.Option(help="Updates to half of it; 0: no.")] = 0
    evaluate_every: Annotated[
        int, typer.Option(help="Updates between two looks at held-out trials.")
    ] = 10
    patience: Annotated[
        int, typer.Option(help="Looks without a better one to end; 0 for no end.")
    ] = 0
    weight_noise: Annotated[
        float, typer.Option(help="SD of noise on weights, of the typical weight.")
    ] = 0.0
    update_levels: Annotated[
        int, typer.Option(help="Levels up to the largest weight; 0 for exact updates.")
    ] = 0
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:<number>.")] = "cpu"
    seed: options.Seed = 0


@dataclass(frozen=True, kw_only=True)
class TermOptions:
    """What is trained, by which terms of the loss, and how far gradients go back."""

    train: Annotated[
        str,
        typer.Option(
            help="What trains, by commas: w_in, w_rec, w_out, b_out, v_leak, v_th, "
            "tau_syn, tau_mem."
        ),
    ] = "w_in,w_rec,w_out,b_out"
    clip: Annotated[
        float, typer.Option(help="Largest norm of the gradient; 0 for any.")
    ] = 1.0
    timescales: Annotated[
        float, typer.Option(help="Weight of states' autocovariances, and so of τ.")
    ] = 0.0
    reference: Annotated[
        str | None,
        options.unset(
            "Whose autocovariances: rate (for a rate network, if not given) or "
            "lif, the network before tuning."
        ),
    ] = None
    timescale_target: Annotated[
        Path | None,
        options.unset(
            "Timescales to aim at in their place: .csv with tau_s or tau_ms, or .npz "
            "with tau, or with autocorrelation or autocovariance and lags."
        ),
    ] = None
    timescale_lags: Annotated[
        str | None,
        options.unset("Lags in ms, by commas, from 0; if not given, up to 300 ms."),
    ] = None
    timescale_amplitude: Annotated[
        float, typer.Option(help="What errors of size count beside those of shape.")
    ] = 1.0
    timescale_epoch: Annotated[
        str | None,
        options.unset(
            "Where in the task's trials, as START,END in ms; if not given, in trials "
            "without input."
        ),
    ] = None
    rates: Annotated[
        float, typer.Option(help="Weight of keeping neurons' firing rates.")
    ] = 0.0
    truncate: Annotated[
        int, typer.Option(help="Steps that gradients go back; 0 for all.")
    ] = 0
    recompute: Annotated[
        int, typer.Option(help="Steps whose states are not kept, to save memory.")
    ] = 0


@dataclass(frozen=True, kw_only=True)
class ChipOptions:
    """How the network comes to the chip."""

    quantized: Annotated[
        bool,
        typer.Option("--quantized", help="Tune through the chip's own arithmetic."),
    ] = False
    bits: options.Bits = 8
    outliers: Annotated[
        str | None,
        options.unset(
            "A few weights much larger than the rest: split, clip, keep or fit; "
            "if not given, fit with --quantized and split without."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class LessonOptions:
    """Which trials it is tuned on, and how a rate network is converted first."""

    task: options.TaskName = None
    inputs: Annotated[
        Path | None,
        options.unset(
            "For a LIF network: .npz with inputs (steps × trials × channels) and "
            "labels, or isotau's Trials with targets. Half is only scored."
        ),
    ] = None
    conversion: options.Method = "calibrate"
    copies: options.Copies = 1
    max_copies: options.MaxCopies = 1
    max_rate: options.MaxRate = None
    max_seconds: options.MaxSeconds = 60.0
    current_noise: options.CurrentNoise = 1.0
    trim: options.Trim = True
    trials: options.Trials = 400
    search_trials: options.SearchTrials = 150


@options.spread
def tune(
    context: typer.Context,
    network: options.AnyNetwork,
    lesson: LessonOptions,
    chip: ChipOptions,
    descent: DescentOptions,
    terms: TermOptions,
    assumptions: options.AssumedOptions,
    reading: options.NirReading,
    out: options.Out = Path("isotau-tuned"),
) -> None:
    """Tune a network by gradient, and say what that did to it.

    A rate network is converted first and tuned on fresh trials of its task; a LIF
    network of any origin on a task, or on trials of yours. Leaves the tuned network as
    LIF and in the chip's integers, tuning.json, curves.png and a checkpoint, from which
    the same command goes on if it was interrupted.
    """
    from isotau.convert.records.rate import RateRNN
    from isotau.jobs.origin import describe_input
    from isotau.reports import tune_report

    # What cannot be written is refused before minutes of work, not after.
    options.check_folder(out)
    opened, conventions = _open(network, assumptions, reading)
    typer.echo(opened.description)
    if opened.findings:
        typer.echo(describe_findings(opened.findings))
    if isinstance(opened.net, RateRNN):
        # Without a word, timescales are those of the network that was trained.
        plan, quantization = _plan(descent, terms, chip, reference="rate")
        tuning = _tune_rate(
            opened.net, lesson, plan, quantization, descent.seed, out / CHECKPOINT
        )
    else:
        # There is no rate network to keep the timescales of.
        plan, quantization = _plan(descent, terms, chip, reference="lif")
        tuning = _tune_lif(
            opened.net, network, lesson, plan, quantization, descent.seed, out
        )
    # Options are in the report as they were typed, defaults included: with the file's
    # hash they say how to do it again.
    source = describe_input(network, conventions)
    numbers = source | {"arguments": _as_json(context.params)}
    # The table is made from the written file: what is read is what was left.
    written = tune_report.read(tune_report.write(tuning, out, numbers))
    Console().print(tune_report.table(written))
    typer.echo(tune_report.verdict(written))
    typer.echo(f"Networks and report: {out}")
    # What was best before the trouble is saved all the same.
    if tuning.tuned.problem:
        typer.echo(f"isotau: {tuning.tuned.problem}", err=True)
        raise typer.Exit(1)


def _tune_rate(
    rate: "RateRNN",
    lesson: LessonOptions,
    plan: "TuningPlan",
    quantization: "QuantizeConfig",
    seed: int,
    checkpoint: Path,
) -> "Tuning":
    """Return a rate network's tuning: converted without it and with it.

    Raises:
        ValueError: trials were given, which its task draws.
    """
    from isotau.cli.progress import bars
    from isotau.convert.to_lif.choice_search import Budget
    from isotau.convert.to_lif.teacher import CalibrateConfig
    from isotau.jobs.pipeline import tune_rate
    from isotau.jobs.run_config import RunConfig
    from isotau.sim.tasks.choose_task import choose_task

    # A task draws fresh trials without end; a file would be learned by heart.
    if lesson.inputs is not None:
        raise ValueError(
            "--inputs: got a file for a rate network, need a task, which draws its "
            "trials; use --task"
        )
    config = RunConfig(
        task=choose_task(rate, lesson.task).name,
        method=lesson.conversion,
        copies=lesson.copies,
        budget=Budget(
            copies=lesson.max_copies,
            rate=lesson.max_rate,
            seconds=lesson.max_seconds,
        ),
        calibration=CalibrateConfig(
            current_noise=lesson.current_noise, trim=lesson.trim
        ),
        trials=lesson.trials,
        search_trials=lesson.search_trials,
        lava_trials=1,  # not looked at: `carry` stops before Lava
        seed=seed,
        quantization=quantization,
        tuning=plan,
    )
    return tune_rate(rate, config, progress=bars, checkpoint=checkpoint)


def _tune_lif(
    net: "Network",
    path: Path,
    choice: LessonOptions,
    plan: "TuningPlan",
    quantization: "QuantizeConfig",
    seed: int,
    out: Path,
) -> "Tuning":
    """Return a LIF network's tuning.

    Raises:
        ValueError: neither or both of a task and trials, integers already.
    """
    from isotau.cli.progress import bars
    from isotau.convert.ground import validation
    from isotau.convert.records.stage import need_lif
    from isotau.jobs.tune_lesson import lesson_of_task, read_lesson
    from isotau.jobs.tune_network import tune_foreign
    from isotau.sim.tasks import TASKS

    lif = need_lif(net, path)
    # A task draws fresh trials, a file holds all there are: they cannot be mixed.
    if (choice.task is None) == (choice.inputs is None):
        got = (
            "neither a task nor trials" if choice.task is None else "a task and trials"
        )
        raise ValueError(
            f"{path}: got {got} for a LIF network, need one of the two; "
            "use --task or --inputs"
        )
    if choice.task is not None:
        task = TASKS[validation.choice("task", choice.task, sorted(TASKS))]
        lesson = lesson_of_task(task, lif, trials=choice.trials, seed=seed)
    elif choice.inputs is not None:
        lesson = read_lesson(choice.inputs, lif, seed=seed)
    return tune_foreign(
        lif,
        lesson,
        plan,
        quantization=quantization,
        seed=seed,
        checkpoint=out / CHECKPOINT,
        progress=bars,
    )


def _plan(
    descent: DescentOptions, terms: TermOptions, chip: ChipOptions, *, reference: str
) -> "tuple[TuningPlan, QuantizeConfig]":
    """Return how to tune and to quantize; the reference is for want of another."""
    from isotau.convert.to_fixed.quantize import QuantizeConfig
    from isotau.convert.tuning.learner.tune_config import TuneConfig
    from isotau.convert.tuning.loss.segments import Segments
    from isotau.jobs.run_config import TuningPlan

    config = TuneConfig(
        train=tuple(name.strip() for name in terms.train.split(",") if name.strip()),
        clip=terms.clip or None,  # a norm of 0 would stop every update
        segments=Segments(terms.truncate, terms.recompute),
        **asdict(descent),
    )
    plan = TuningPlan(
        config=config,
        quantized=chip.quantized,
        rate_weight=terms.rates,
        timescale_weight=terms.timescales,
        timescale_amplitude=terms.timescale_amplitude,
        reference=terms.reference or reference,
        **_timescales(terms),
    )
    # Whether there is a split may change with any update, and all rounding with it.
    usual = "fit" if plan.quantized else "split"
    quantization = QuantizeConfig(
        num_weight_bits=chip.bits, outliers=chip.outliers or usual
    )
    return plan, quantization


def _timescales(terms: TermOptions) -> dict[str, Any]:
    """Return the fields of the plan that say which timescales are wanted, and where.

    Raises:
        ValueError: some of them are given without a weight.
        UnreadableFile: the file of timescales is not one.
    """
    from isotau.convert.read.read_timescales import read_timescales

    fields: dict[str, Any] = {}
    if terms.timescale_lags is not None:
        fields["timescale_lags"] = _seconds("--timescale-lags", terms.timescale_lags)
    if terms.timescale_epoch is not None:
        epoch = _seconds("--timescale-epoch", terms.timescale_epoch)
        if len(epoch) != 2:
            raise ValueError(
                f"--timescale-epoch: got {len(epoch)} numbers, need two, START,END"
            )
        fields["timescale_epoch"] = epoch
    if terms.timescale_target is not None:
        if terms.reference is not None:
            raise ValueError(
                "--reference: got one with --timescale-target, need one of the two"
            )
        fields["wanted"] = read_timescales(terms.timescale_target)
    # Silently left out, they would look as if they had been asked for.
    if fields and not terms.timescales:
        raise ValueError(
            "--timescales: got no weight for what is asked of timescales, need one, "
            "such as 1"
        )
    return fields


def _seconds(option: str, text: str) -> tuple[float, ...]:
    """Return numbers in seconds that stand in an option in ms, by commas."""
    try:
        return tuple(float(number) / 1e3 for number in text.split(","))
    except ValueError:
        raise ValueError(
            f"{option}: got {text!r}, need numbers in ms with commas between them"
        ) from None


def _open(
    network: Path, assumptions: options.AssumedOptions, reading: options.NirReading
) -> "tuple[Opened, Conventions | None]":
    """Return the network of a file, and what a reader of rate networks assumed.

    Raises:
        ValueError: assumptions about a rate network for one of LIF neurons.
    """
    from isotau.convert.read.read_rate import read_rate
    from isotau.convert.records import storage
    from isotau.convert.records.rate import RateRNN
    from isotau.targets.open_network import Opened, is_nir, open_network

    assumed, of_nir = assumptions.for_reader(), reading.for_reader()
    given = [name for name, value in assumed.items() if value is not None]
    spiking = storage.kind_of(network) in SPIKING or is_nir(network)
    # Silently left out, an assumption would look as if it had been made.
    if spiking and set(given) - {"dt"}:
        raise ValueError(
            f"{network}: got {', '.join(given)} for LIF neurons, which the file "
            "states itself; leave it out"
        )
    # --dt-ms alone belongs to both kinds of file: only the others tell them apart.
    if given and not spiking and not set(of_nir) - {"dt"}:
        read = read_rate(network, **assumed)
        return Opened(read.net, read.conventions.describe()), read.conventions
    opened = open_network(network, **of_nir)
    # Read again for its conventions alone, which the report states.
    if isinstance(opened.net, RateRNN):
        return opened, read_rate(network).conventions
    return opened, None


def _as_json(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments as JSON holds them; of files their names."""
    return {k: v.name if isinstance(v, Path) else v for k, v in arguments.items()}
