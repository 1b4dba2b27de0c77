"""`isotau tune`: a network tuned by gradient, before and after on the same trials."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from isotau.cli import options
from isotau.convert.ground.errors import describe_findings

if TYPE_CHECKING:
    from isotau.convert.read.conventions import Conventions
    from isotau.convert.records.rate import RateRNN
    from isotau.convert.records.stage import Network
    from isotau.convert.to_fixed.quantize import QuantizeConfig
    from isotau.jobs.run_config import TuningPlan
    from isotau.jobs.tuning_outcome import Tuning
    from isotau.targets.open_network import Opened

CHECKPOINT = "tuning.checkpoint.npz"
AS_IT_IS = (
    "method surrogate width damping batch learning_rate halve_every updates "
    "evaluate_every patience device seed weight_noise update_levels"
).split()
"""Options that are fields of `TuneConfig` under the same names."""
OF_NIR = ("dt_ms", "time_unit", "scheme", "refractory_steps")
OF_RATE = ("dt_ms", "tau_ms", "alpha", "noise_std", "activation", "readout")
SPIKING = ("LIFNetwork", "FixedPointNetwork")


def tune(
    context: typer.Context,
    network: options.AnyNetwork,
    task: options.TaskName = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            help="For a LIF network: .npz with inputs (steps × trials × channels) and "
            "labels, or isotau's Trials with targets. Half is only scored.",
            show_default=False,
        ),
    ] = None,
    quantized: Annotated[
        bool,
        typer.Option("--quantized", help="Tune through the chip's own arithmetic."),
    ] = False,
    bits: Annotated[
        int, typer.Option(help="Bits of a weight on the chip, 1 to 8.")
    ] = 8,
    outliers: Annotated[
        str | None,
        typer.Option(
            help="A few weights much larger than the rest: split, clip, keep or fit; "
            "if not given, fit with --quantized and split without.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        str, typer.Option(help="Gradients: bptt, eprop, eventprop or fptt.")
    ] = "bptt",
    train: Annotated[
        str,
        typer.Option(
            help="What trains, by commas: w_in, w_rec, w_out, b_out, v_leak, v_th, "
            "tau_syn, tau_mem."
        ),
    ] = "w_in,w_rec,w_out,b_out",
    surrogate: Annotated[
        str, typer.Option(help="Derivative of the spike: super or another of Norse's.")
    ] = "super",
    width: Annotated[
        float, typer.Option(help="Its width, as a share of v_th − v_reset.")
    ] = 0.1,
    damping: Annotated[float, typer.Option(help="Its height at threshold.")] = 0.3,
    updates: Annotated[int, typer.Option(help="Updates after which it ends.")] = 200,
    batch: Annotated[int, typer.Option(help="Trials per update.")] = 32,
    learning_rate: Annotated[
        float, typer.Option(help="Of Adam, in each parameter's typical size.")
    ] = 0.01,
    halve_every: Annotated[int, typer.Option(help="Updates to half of it; 0: no.")] = 0,
    clip: Annotated[
        float, typer.Option(help="Largest norm of the gradient; 0 for any.")
    ] = 1.0,
    evaluate_every: Annotated[
        int, typer.Option(help="Updates between two looks at held-out trials.")
    ] = 10,
    patience: Annotated[
        int, typer.Option(help="Looks without a better one to end; 0 for no end.")
    ] = 0,
    timescales: Annotated[
        float, typer.Option(help="Weight of keeping neurons' autocorrelations.")
    ] = 0.0,
    reference: Annotated[
        str | None,
        typer.Option(
            help="Whose autocorrelations: rate (for a rate network, if not given) or "
            "lif, the network before tuning.",
            show_default=False,
        ),
    ] = None,
    rates: Annotated[
        float, typer.Option(help="Weight of keeping neurons' firing rates.")
    ] = 0.0,
    truncate: Annotated[
        int, typer.Option(help="Steps that gradients go back; 0 for all.")
    ] = 0,
    recompute: Annotated[
        int, typer.Option(help="Steps whose states are not kept, to save memory.")
    ] = 0,
    weight_noise: Annotated[
        float, typer.Option(help="SD of noise on weights, of the typical weight.")
    ] = 0.0,
    update_levels: Annotated[
        int, typer.Option(help="Levels up to the largest weight; 0 for exact updates.")
    ] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:<number>.")] = "cpu",
    conversion: options.Method = "calibrate",
    copies: options.Copies = 1,
    trials: options.Trials = 400,
    search_trials: options.SearchTrials = 150,
    seed: options.Seed = 0,
    out: options.Out = Path("isotau-tuned"),
    dt_ms: options.DtMs = None,
    tau_ms: options.TauMs = None,
    alpha: options.Alpha = None,
    noise_std: options.NoiseStd = None,
    activation: options.Activation = None,
    readout: options.Readout = None,
    time_unit: options.TimeUnit = None,
    scheme: options.Scheme = None,
    refractory_steps: options.RefractorySteps = None,
) -> None:
    """Tune a network by gradient, and say what that did to it.

    A rate network is converted first and tuned on fresh trials of its task; a LIF
    network of any origin on a task, or on trials of yours. Leaves the tuned network as
    LIF and in the chip's integers, tuning.json, curves.png and a checkpoint, from which
    the same command goes on if it was interrupted.
    """
    from isotau.convert.records.rate import RateRNN
    from isotau.jobs.pipeline import describe_input
    from isotau.reports import tune_report

    options.check_folder(out)
    opened, conventions = _open(network, context.params)
    typer.echo(opened.said)
    if opened.findings:
        typer.echo(describe_findings(opened.findings))
    if isinstance(opened.net, RateRNN):
        tuning = _of_rate(opened.net, context.params)
    else:
        tuning = _of_lif(opened.net, context.params)
    said = describe_input(network, conventions) | {"arguments": _said(context.params)}
    written = tune_report.read(tune_report.write(tuning, out, said))
    Console().print(tune_report.table(written))
    typer.echo(tune_report.verdict(written))
    typer.echo(f"Networks and report: {out}")
    if tuning.tuned.problem:
        typer.echo(f"isotau: {tuning.tuned.problem}", err=True)
        raise typer.Exit(1)


def _of_rate(rate: "RateRNN", asked: dict[str, Any]) -> "Tuning":
    """Return a rate network's tuning: converted without it and with it.

    Raises:
        ValueError: trials were given, which its task draws.
    """
    from isotau.cli.progress import bars
    from isotau.jobs.pipeline import carry
    from isotau.jobs.run_config import RunConfig
    from isotau.jobs.tuning_outcome import of_runs
    from isotau.sim.tasks.choose_task import choose_task

    if asked["inputs"] is not None:
        raise ValueError(
            "--inputs: got a file for a rate network, need a task, which draws its "
            "trials; use --task"
        )
    plan, quantization = _plan(asked, "rate")
    config = RunConfig(
        task=choose_task(rate, asked["task"]).name,
        method=asked["conversion"],
        copies=asked["copies"],
        trials=asked["trials"],
        search_trials=asked["search_trials"],
        lava_trials=1,
        seed=asked["seed"],
        quantization=quantization,
    )
    before = carry(rate, config, progress=bars)
    after = carry(
        rate,
        replace(config, tuning=plan),
        progress=bars,
        checkpoint=asked["out"] / CHECKPOINT,
    )
    return of_runs(before, after)


def _of_lif(net: "Network", asked: dict[str, Any]) -> "Tuning":
    """Return a LIF network's tuning.

    Raises:
        ValueError: neither or both of a task and trials, integers already.
    """
    from isotau.cli.progress import bars
    from isotau.convert.ground import validation
    from isotau.convert.records.stage import need_lif
    from isotau.jobs.tune_foreign import tune_foreign
    from isotau.jobs.tune_lesson import lesson_of_task, read_lesson
    from isotau.sim.tasks import TASKS

    lif, seed = need_lif(net, asked["network"]), asked["seed"]
    task, inputs = asked["task"], asked["inputs"]
    if (task is None) == (inputs is None):
        got = "neither a task nor trials" if task is None else "a task and trials"
        raise ValueError(
            f"{asked['network']}: got {got} for a LIF network, need one of the two; "
            "use --task or --inputs"
        )
    if task is None:
        lesson = read_lesson(inputs, lif, seed=seed)
    else:
        chosen = TASKS[validation.choice("task", task, sorted(TASKS))]
        lesson = lesson_of_task(chosen, lif, trials=asked["trials"], seed=seed)
    plan, quantization = _plan(asked, "lif")
    return tune_foreign(
        lif,
        lesson,
        plan,
        quantization=quantization,
        seed=seed,
        checkpoint=asked["out"] / CHECKPOINT,
        progress=bars,
    )


def _plan(asked: dict[str, Any], reference: str) -> "tuple[TuningPlan, QuantizeConfig]":
    """Return how to tune and to quantize; the reference is for want of another."""
    from isotau.convert.to_fixed.quantize import QuantizeConfig
    from isotau.convert.tuning.learner.tune_config import TuneConfig
    from isotau.convert.tuning.loss.observe import Segments
    from isotau.jobs.run_config import TuningPlan

    config = TuneConfig(
        train=tuple(name.strip() for name in asked["train"].split(",") if name.strip()),
        clip=asked["clip"] or None,
        segments=Segments(asked["truncate"], asked["recompute"]),
        **{name: asked[name] for name in AS_IT_IS},
    )
    plan = TuningPlan(
        config=config,
        quantized=asked["quantized"],
        rate_weight=asked["rates"],
        timescale_weight=asked["timescales"],
        reference=asked["reference"] or reference,
    )
    # whether there is a split may change with any update, and all rounding with it
    usual = "fit" if plan.quantized else "split"
    quantization = QuantizeConfig(
        num_weight_bits=asked["bits"], outliers=asked["outliers"] or usual
    )
    return plan, quantization


def _open(network: Path, asked: dict[str, Any]) -> "tuple[Opened, Conventions | None]":
    """Return the network of a file, and what a reader of rate networks assumed.

    Raises:
        ValueError: assumptions about a rate network for one of LIF neurons.
    """
    from isotau.convert.read.read_rate import read_rate
    from isotau.convert.records import storage
    from isotau.convert.records.rate import RateRNN
    from isotau.targets.open_network import Opened, is_nir, open_network

    told = options.reading(*(asked[name] for name in OF_NIR))
    assumed = options.assumptions(**{name: asked[name] for name in OF_RATE})
    given = [name for name, value in assumed.items() if value is not None]
    spiking = storage.kind_of(network) in SPIKING or is_nir(network)
    if spiking and set(given) - {"dt"}:
        raise ValueError(
            f"{network}: got {', '.join(given)} for LIF neurons, which the file "
            "states itself; leave it out"
        )
    if given and not spiking and not set(told) - {"dt"}:
        read = read_rate(network, **assumed)
        return Opened(read.net, read.conventions.describe()), read.conventions
    opened = open_network(network, **told)
    if isinstance(opened.net, RateRNN):
        return opened, read_rate(network).conventions
    return opened, None


def _said(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments as JSON holds them; of files their names."""
    return {k: v.name if isinstance(v, Path) else v for k, v in asked.items()}
