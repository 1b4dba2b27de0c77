"""Which task a rate network may have been trained on, by its channels and steps."""

from isotau.convert.ground import validation
from isotau.convert.records.rate import RateRNN
from isotau.sim.tasks import TASKS, Task

DEFAULT_TASK = "go-nogo"
"""Taken for a network that fits it: that of the published networks."""


def choose_task(rate: RateRNN, name: str | None) -> Task:
    """Return the task of that name, or Go-NoGo for a network that may be one of its.

    Raises:
        ValueError: channels or steps of another task's; it names those that fit.
    """
    if name is not None:
        validation.choice("task", name, sorted(TASKS))
    # Channels and step decide: nothing else in a file tells what was trained.
    fitting = {task.name for task in TASKS.values() if not _unlike(rate, task)}
    others = ", ".join(sorted(fitting)) or "no task here"
    # Without a name only the default is taken: two tasks of one shape look alike, and
    # the wrong one would give an accuracy that means nothing.
    if name is None and DEFAULT_TASK not in fitting:
        raise ValueError(
            f"task: got none for a network of {_shape(rate)}, need one of those that "
            f"fit it: {others}; name it with --task"
        )
    task = TASKS[DEFAULT_TASK if name is None else name]
    problem = _unlike(rate, task)
    if problem:
        raise ValueError(
            f"network: got {_shape(rate)}, need {problem} for {task.name}; "
            f"{others} would fit it"
        )
    return task


def _unlike(rate: RateRNN, task: Task) -> str:
    """Return what a network would need for a task and has not; empty if it has all."""
    # Trials can be refined to shorter steps, not to longer ones or to odd fractions.
    parts = task.dt / rate.dt
    if (rate.n_in, rate.n_out) != (task.n_in, task.n_out):
        return _channels(task)
    if round(parts) < 1 or abs(parts - round(parts)) > 1e-6:
        return f"steps of {1e3 * task.dt:g} ms or a whole fraction (--dt-ms)"
    return ""


def _shape(rate: RateRNN) -> str:
    """Return what decides which tasks a network fits."""
    return f"{_channels(rate)} and steps of {1e3 * rate.dt:g} ms"


def _channels(which: RateRNN | Task) -> str:
    counts = {"input": which.n_in, "output": which.n_out}
    return ", ".join(f"{n} {word}{'s' * (n != 1)}" for word, n in counts.items())
