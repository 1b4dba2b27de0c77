"""`isotau train`: rate networks for a task, many at once."""

from pathlib import Path
from typing import Annotated

import typer

from isotau.cli import options


def train(
    task: Annotated[
        str, typer.Option(help="What to train on; there is a recipe for each task.")
    ] = "go-nogo",
    count: Annotated[int, typer.Option(help="Networks, trained at once.")] = 40,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    out: Annotated[
        Path, typer.Option(help="Folder for networks, checkpoints and curves.json.")
    ] = Path("isotau-trained"),
    units: Annotated[int | None, options.unset("Units of each network.")] = None,
    tau_min_ms: Annotated[float | None, options.unset("Shortest τ, in ms.")] = None,
    tau_max_ms: Annotated[float | None, options.unset("Longest τ, in ms.")] = None,
    activation: Annotated[
        str | None, options.unset("Activation: sigmoid, tanh, relu, softplus or lif.")
    ] = None,
    noise_std: Annotated[
        float | None, options.unset("SD of the noise on x in each step of training.")
    ] = None,
    batch: Annotated[int | None, options.unset("Trials per update.")] = None,
    updates: Annotated[
        int | None,
        options.unset("Updates of the last stage after which training ends."),
    ] = None,
) -> None:
    """Train rate networks on a task, many at once.

    What is not given is as the task's recipe has it. Interrupted, the same command goes
    on from where it was.
    """
    # Heavy imports wait until they are needed, so that --help is quick.
    from isotau.cli.progress import bars
    from isotau.jobs.train import TrainRequest, summary, train_networks

    options.check_folder(out)
    # None stands for what the recipe says, which differs from task to task.
    request = TrainRequest(
        task=task,
        count=count,
        seed=seed,
        n=units,
        tau_min=options.seconds(tau_min_ms),
        tau_max=options.seconds(tau_max_ms),
        activation=activation,
        training_noise_std=noise_std,
        batch=batch,
        max_iterations=updates,
    )
    typer.echo(summary(train_networks(request, out, progress=bars)))
