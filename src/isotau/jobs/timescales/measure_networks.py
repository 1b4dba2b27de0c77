"""`isotau timescales` of networks: every unit's τ in a CSV, and a sentence about them.

Networks are told from recordings by what is in their files.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from isotau.convert.ground import files, validation
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.matlab import read_variables
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.read.kinds import (
    GROUP,
    READERS,
    Content,
    FileReader,
    find_reader,
)
from isotau.convert.read.read_rate import read_rate
from isotau.convert.records import storage
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.stage import STAGES, Network
from isotau.jobs.origin import NamedNetwork, describe_assumptions, names_of
from isotau.jobs.timescales.measure_recorded import file_stem, quartiles
from isotau.sim.recorded.read_spike_times import GROUP as RECORDINGS_GROUP
from isotau.sim.recorded.read_spike_times import READERS as RECORDINGS
from isotau.sim.states.epochs import EPOCHS
from isotau.sim.states.measure_network import (
    BEYOND,
    OK,
    SECONDS,
    STILL,
    MeasuredStates,
    measure_states,
    states_of,
)
from isotau.sim.states.memory_states import Switching
from isotau.sim.states.observables import OBSERVABLES
from isotau.sim.states.sequence import StateBudget
from isotau.sim.tasks import TASKS
from isotau.targets.open_network import is_nir

OF_RECORDINGS = (
    *("--method", "--bin-ms", "--from-ms", "--to-ms", "--align", "--split-ms"),
    *("--intervals", "--trials", "--units", "--two"),
)
"""Options that networks have no use for."""
ASSUMED = (
    *("--dt-ms", "--tau-ms", "--alpha", "--noise-std", "--activation", "--readout"),
)
"""What the file of a rate network does not state."""
OF_NETWORKS = ("--observable", "--task", "--budget", "--seed", *ASSUMED)
"""Options that recordings have no use for."""
SPIKERNN = ("som_m", "taus")
"""Variables that no recording has, and spikeRNN's networks have."""
FORMAT = 1
"""Of the tables."""
WORDS = {
    "state": ("states of", "unit"),
    "rate": ("rates of", "unit"),
    "kappa": ("κ of", "mode"),
    "output": ("values of", "output"),
}
"""What has a timescale, and of what, by observable."""
WHEN = {
    "rest": "at rest",
    "fixation": "in the fixation of {}",
    "delay": "in the delay of {}",
    "after": "after the stimuli of {}",
}
"""How a sentence says the epoch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkRequest:
    """What networks are measured by.

    Attributes:
        observable: what of them is watched.
        epoch: when.
        task: name of what they are shown; None for nothing.
        budget: what each of them may cost.
        seed: of all noise.
    """

    observable: str = "state"
    epoch: str = "rest"
    task: str | None = None
    budget: StateBudget = field(default_factory=lambda: StateBudget(seconds=SECONDS))
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the names and numbers."""
        validation.choice("observable", self.observable, OBSERVABLES)
        validation.choice("epoch", self.epoch, EPOCHS)
        if self.task is not None:
            validation.choice("task", self.task, tuple(TASKS))
        elif self.epoch != "rest":
            raise ValueError(
                f"epoch: got {self.epoch} without a task, need the task that networks "
                "are shown; name it with --task"
            )
        validation.whole("seed", self.seed, 0, 2**63 - 1)


@short_repr
class OpenedNetwork(NamedTuple):
    """A network that is to be measured.

    Attributes:
        name: unlike that of any other.
        label: how sentences name it: as its file, where no other has that name.
        net: the network.
        assumed: what was assumed of it; None of one that states everything.
    """

    name: str
    label: str
    net: Network
    assumed: NamedNetwork | None


@short_repr
class MeasuredNetwork(NamedTuple):
    """A network that was measured.

    Attributes:
        name: unlike that of any other.
        label: how sentences name it.
        states: what was found.
        request: what was asked for.
    """

    name: str
    label: str
    states: MeasuredStates
    request: NetworkRequest


def by_kind(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return which files are recordings, and which are networks.

    Raises:
        UnreadableFile: no such file, or one that is damaged.
        ValueError: a NIR graph.
    """
    networks = [path for path in paths if is_network(path)]
    return [path for path in paths if path not in networks], networks


def is_network(path: Path) -> bool:
    """Return whether a file holds a network; one that nothing reads counts as none.

    Raises:
        UnreadableFile: no such file, or one that is damaged.
        ValueError: a NIR graph.
    """
    if path.is_dir():  # of recorded neurons, one a file
        return False
    kind = storage.kind_of(path)
    if kind:
        return kind in {stage.__name__ for stage in STAGES.values()}
    content = Content(path)
    if content.is_torch:  # a zip file too, in which recordings may come
        return True
    network = _reader(path, READERS, GROUP)
    recording = _reader(path, RECORDINGS, RECORDINGS_GROUP)
    if network is None:
        return False
    if recording is None:  # HDF5 that neither can open: a recording, damaged
        return not content.is_matlab
    # Who looked into the file knows better than who takes a whole format.
    if not (network.any_content and recording.any_content):
        return recording.any_content
    if is_nir(path):
        raise ValueError(
            f"{path}: got a NIR graph, whose neurons have no noise, need a network "
            "that moves by itself; give it noise_std and use isotau.measure_states"
        )
    return bool(read_variables(path, SPIKERNN))


def check_options(
    given: Collection[str], recordings: Sequence[Path], networks: Sequence[Path]
) -> None:
    """Refuse options that do not go with all files.

    Args:
        given: options as they are typed.
        recordings: files of recorded neurons.
        networks: files of networks.

    Raises:
        ValueError: an option that a file has no use for; the message names both.
    """
    for paths, others, got, need in (
        (networks, OF_RECORDINGS, "a network", "recorded neurons"),
        (recordings, OF_NETWORKS, "recorded neurons", "a network"),
    ):
        wrong = [option for option in others if option in given]
        if paths and wrong:
            raise ValueError(
                f"{wrong[0]}: got {paths[0]}, {got}, need {need} for this option; "
                "leave it out"
            )


def open_networks(
    paths: Sequence[Path], request: NetworkRequest, assumed: Mapping[str, Any]
) -> list[OpenedNetwork]:
    """Return all networks, none of which is measured before all were read.

    Args:
        paths: of their files.
        request: what they will be measured by.
        assumed: what files of rate networks do not state, as `read_rate` takes it.

    Raises:
        UnreadableFile: a file that is damaged.
        ValueError: a network that does not fit the request, or leaves no room for what
            is assumed; the message names its file.
    """
    names, alone = names_of(paths), len({path.name for path in paths}) == len(paths)
    return [
        _opened(path, name, path.name if alone else name, request, assumed)
        for name, path in zip(names, paths, strict=True)
    ]


def assumptions(networks: Sequence[OpenedNetwork]) -> list[str]:
    """Return what was assumed of networks, each text once."""
    return describe_assumptions([each.assumed for each in networks if each.assumed])


def measure_networks(
    networks: Sequence[OpenedNetwork],
    request: NetworkRequest,
    *,
    progress: Progress = silent,
) -> Iterator[MeasuredNetwork]:
    """Yield the timescales of every network as soon as they are known.

    Args:
        networks: from `open_networks`.
        request: what they are measured by.
        progress: is given the looks at each as they pass.

    Raises:
        ValueError: a network whose steps are not those of the task; the message names
            it.
    """
    for each in networks:
        try:
            states = measure_states(
                each.net,
                observable=request.observable,
                epoch=request.epoch,
                task=request.task,
                budget=request.budget,
                seed=request.seed,
                progress=progress,
            )
        except ValueError as error:
            raise ValueError(f"{each.label}: {error}") from error
        yield MeasuredNetwork(each.name, each.label, states, request)


def write(measured: MeasuredNetwork, out: Path) -> Path:
    """Write every unit's numbers as NAME.states.csv, and return the path."""
    states, request = measured.states, measured.request
    memory = states.memory
    settings = {
        "isotau": "MeasuredStates",
        "format": FORMAT,
        "file": measured.label,
        "observable": states.observable,
        "epoch": states.epoch,
        "task": request.task,
        "seed": request.seed,
        "trials": states.trials,
        "length_s": states.length,
        "window_s": states.tau.window,
        "memory_states": memory.states,
        "memory_switches": memory.switches,
        "memory_dwell_s": memory.dwell if memory.switches else None,
    }
    columns = states.columns()
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    path = out / f"{file_stem(measured.name)}.states.csv"
    return files.write_table(path, settings, list(columns), rows)


def sentence(measured: MeasuredNetwork) -> str:
    """Return what was found of a network."""
    states = measured.states
    what, unit = WORDS[states.observable]
    count = {status: states.statuses.count(status) for status in (OK, BEYOND, STILL)}
    said = (
        f"{measured.label}: {what} {count[OK]} of {states.n} {unit}s have a timescale"
    )
    found = quartiles(states.tau.tau[states.tau.known])
    if found is not None:
        low, middle, high = (1e3 * tau for tau in found)
        said += f": median {_few_digits(middle)} ms (quartiles {low:.0f}–{high:.0f})"
    when = WHEN[states.epoch].format(measured.request.task)
    parts = [f"{said}, {when}, {states.trials} trials of {states.length:g} s"]
    rhythmic = int(states.shape.oscillating.sum())
    if rhythmic:
        hertz = np.nanmedian(states.shape.frequency)
        verb = "oscillates" if rhythmic == 1 else "oscillate"
        parts.append(f"{_counted(rhythmic, unit)} {verb} (median {hertz:.2g} Hz)")
    if states.memory.states > 1:
        parts.append(_kept(states.memory))
    if count[BEYOND]:
        verb = "remembers" if count[BEYOND] == 1 else "remember"
        parts.append(
            f"{_counted(count[BEYOND], unit)} {verb} for longer than "
            f"{states.tau.window:.2g} s"
        )
    if count[STILL]:
        verb = "does" if count[STILL] == 1 else "do"
        parts.append(f"{_counted(count[STILL], unit)} {verb} not move")
    return "; ".join(parts) + "."


def _reader(path: Path, readers: Sequence[FileReader], group: str) -> FileReader | None:
    """Return the reader that takes a file; None if none does, or it is damaged."""
    try:
        return find_reader(path, readers, group)
    except UnreadableFile:
        return None


def _opened(
    path: Path,
    name: str,
    label: str,
    request: NetworkRequest,
    assumed: Mapping[str, Any],
) -> OpenedNetwork:
    """Return a network that fits the request."""
    kind = storage.kind_of(path)
    named = None
    if kind in ("", RateRNN.__name__):
        read = read_rate(path, **assumed)
        net: Network = read.net
        named = NamedNetwork(name, read, {})
    else:
        stated = [what for what, value in assumed.items() if value is not None]
        if stated:
            raise ValueError(
                f"{path}: got {', '.join(stated)}, need no assumption of a {kind}, "
                "which states everything; leave it out"
            )
        stages = {stage.__name__: stage for stage in STAGES.values()}
        net = storage.load(path, stages[kind])
    try:
        states_of(
            net, observable=request.observable, epoch=request.epoch, task=request.task
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return OpenedNetwork(name, label, net, named)


def _kept(memory: Switching) -> str:
    """Return how many memory states there are, and for how long one is kept."""
    low, high = memory.interval()
    said = f"{memory.states} memory states, kept for"
    if not memory.switches:
        return f"{said} more than {low:.3g} s"
    return f"{said} {memory.dwell:.3g} s ({low:.3g}–{high:.3g})"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _few_digits(ms: float) -> str:
    """Return milliseconds in three digits, or whole ones if there are more."""
    return f"{ms:.3g}" if ms < 1000 else f"{ms:.0f}"
