"""`isotau timescales`: recorded neurons through the estimators, into one folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

import isotau
from isotau.convert.ground import files, validation
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.read.kinds import find_reader
from isotau.convert.records.spikes import SpikeTimes
from isotau.jobs.origin import names_of
from isotau.sim.recorded.read_arrays import cut_window
from isotau.sim.recorded.read_spike_times import GROUP, READERS, read_spike_times
from isotau.sim.timescales import ESTIMATORS
from isotau.sim.timescales.estimators.ml import BIN_WIDTH
from isotau.sim.timescales.estimators.two_timescales import (
    TwoTimescales,
    two_timescales,
)
from isotau.sim.timescales.records.record import Status, Timescales, summary, write_csv
from isotau.sim.timescales.records.series import Series

OK = Status.OK.value
COUNTED = {0: "none", 1: "one", 2: "two", -1: "not fitted"}
"""How many timescales a neuron has, as the line below the table says it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureRequest:
    """What `measure_files` is asked for.

    Attributes:
        methods: names of estimators, as in `ESTIMATORS`.
        bin_width: of spike counts, in seconds; None for each method's own.
        start: of the window that is looked at, in seconds from the event or from the
            start of a trial; None for where the recording starts.
        stop: its end; None for where the recording ends.
        two: whether to ask for one timescale or two as well.
        reading: other arguments of `read_spike_times`.
    """

    methods: tuple[str, ...] = ("ml",)
    bin_width: float | None = None
    start: float | None = None
    stop: float | None = None
    two: bool = False
    reading: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the names and numbers."""
        for method in self.methods:
            validation.choice("method", method, tuple(ESTIMATORS))
        if self.bin_width is None:
            return
        validation.number("bin_width", self.bin_width, positive=True)
        for method in self.methods:
            if ESTIMATORS[method].width is None:
                raise ValueError(
                    f"bin_width: got {self.bin_width:g} s for {method}, need none: its "
                    "bins are part of the published rules"
                )


@short_repr
class MeasuredFile(NamedTuple):
    """One file's neurons.

    Attributes:
        name: of the file, unlike that of any other.
        source: what was measured.
        timescales: by method.
        two: one timescale or two, if that was asked.
    """

    name: str
    source: SpikeTimes | Series
    timescales: Mapping[str, Timescales]
    two: TwoTimescales | None


def measure_files(
    paths: Sequence[Path], request: MeasureRequest, *, progress: Progress = silent
) -> list[MeasuredFile]:
    """Return the timescales in every file; all files are read before any is measured.

    Raises:
        UnreadableFile: a file is damaged, or of no family that is known.
        ValueError: an argument that a file's family does not take, or data that a
            method has no use for; the message names the file.
    """
    names = names_of(paths)
    sources = [_read(path, request) for path in paths]
    return [
        _measure(name, source, request, progress)
        for name, source in zip(names, sources, strict=True)
    ]


def write(measured: Sequence[MeasuredFile], request: MeasureRequest, out: Path) -> Path:
    """Write tables, pictures and numbers; return the path of the numbers.

    For each file NAME.METHOD.csv, NAME.two.csv if that was asked, NAME.tau.png and
    NAME.statuses.png; and timescales.json.
    """
    for recording in measured:
        stem = file_stem(recording.name)
        for method, timescales in recording.timescales.items():
            write_csv(timescales, out / f"{stem}.{method}.csv")
        if recording.two is not None:
            files.write_text(out / f"{stem}.two.csv", _two_csv(recording.two))
        draw(recording.timescales, out, stem)
    content = {
        "isotau": isotau.__version__,
        "settings": {
            "bin_width_s": request.bin_width,
            "window_s": [request.start, request.stop],
            "reading": {key: str(value) for key, value in request.reading.items()},
        },
        "files": [numbers(recording) for recording in measured],
    }
    text = json.dumps(content, indent=1, allow_nan=False)
    return files.write_text(out / "timescales.json", text + "\n")


def draw(timescales: Mapping[str, Timescales], out: Path, stem: str) -> None:
    """Draw how the τ of each method are distributed, and why neurons have none."""
    # Imported here: of other jobs, which take names alone, none waits for matplotlib.
    from isotau.sim.plot.draw import identified, picture, tau_histograms

    tau_histograms(out / f"{stem}.tau.png", timescales)
    size = 6.4, 1.8 + 0.45 * len(timescales)
    with picture(out / f"{stem}.statuses.png", size=size) as grid:
        identified(grid[0, 0], timescales)


def file_stem(name: str) -> str:
    """Return a name as the beginning of a file's name."""
    return name.replace("/", "_")


def numbers(measured: MeasuredFile) -> dict[str, Any]:
    """Return the numbers of one file, ready for JSON."""
    source = measured.source
    if isinstance(source, Series):
        assert source.observed is not None
        trials = source.observed.sum(axis=0)
        length, origin = source.bins * source.bin_width, source.kind
    else:
        trials, length, origin = source.trials, source.duration, source.source
    return {
        "file": measured.name,
        "source": origin,
        "names": list(getattr(source, "names", ())),
        "trials": [int(trials.min()), int(trials.max())],
        "length_s": length,
        "methods": {
            method: summary(timescales)
            | {"tau_quartiles_s": quartiles(timescales.tau)}
            | {"bin_width_s": timescales.bin_width}
            for method, timescales in measured.timescales.items()
        },
    }


def quartiles(values: np.ndarray) -> list[float] | None:
    """Return the quartiles of what is no NaN; None if there is nothing else."""
    finite = values[np.isfinite(values)]
    return np.percentile(finite, (25, 50, 75)).tolist() if finite.size else None


def table(measured: Sequence[MeasuredFile]) -> Table:
    """Return a row for each file, and below it one for each method."""
    rows = Table(box=SIMPLE_HEAD, pad_edge=False)
    rows.add_column("file, method", overflow="fold", min_width=13)
    for heading in ("trials", "rate", "with a τ", "median (quartiles)"):
        rows.add_column(heading, justify="right", no_wrap=True)
    rows.add_column("without: why")
    for recording in measured:
        content = numbers(recording)
        trials = "–".join(map(str, sorted(set(content["trials"]))))
        # Text: a file's name may hold brackets, which are markup to rich.
        rows.add_row(Text(recording.name), trials)
        for method, counts in content["methods"].items():
            rate, status = counts["mean_rate_hz"], counts["status"]
            rows.add_row(
                f"  {method}",
                "",
                "none" if rate is None else f"{rate:.1f} Hz",
                f"{counts['n_timescales']} of {counts['n_neurons']}",
                in_ms(counts["tau_quartiles_s"]),
                "\n".join(f"{n} {s}" for s, n in status.items() if s != OK),
            )
        rows.add_section()
    return rows


def in_ms(seconds: Sequence[float] | None) -> str:
    """Return quartiles in seconds as text in milliseconds, the median first."""
    if seconds is None:
        return "none"
    low, middle, high = (f"{1e3 * tau:.0f}" for tau in seconds)
    return f"{middle} ms ({low}–{high})"


def remarks(measured: Sequence[MeasuredFile]) -> list[str]:
    """Return how the methods agree on each file, and how many timescales there are."""
    # One sentence for each pair, not a table: most runs have one method.
    lines = []
    for recording in measured:
        # The first method named is the one that all others are held against.
        (name, first), *further = recording.timescales.items()
        lines += [
            f"{recording.name}: {agreement(first, second, (name, method))}"
            for method, second in further
        ]
        if recording.two is not None:
            counts = [int((recording.two.number == k).sum()) for k in COUNTED]
            text = ", ".join(map("{} {}".format, counts, COUNTED.values()))
            lines.append(f"{recording.name}: timescales per neuron, by BIC: {text}.")
    return lines


def agreement(first: Timescales, second: Timescales, names: tuple[str, str]) -> str:
    """Return in a sentence how two measurements of the same neurons agree."""
    measured = np.isfinite(first.tau), np.isfinite(second.tau)
    twice = measured[0] & measured[1]
    text = (
        f"{twice.sum()} neurons have a τ by {names[0]} and by {names[1]}, "
        f"{(measured[0] & ~twice).sum()} by {names[0]} alone, "
        f"{(measured[1] & ~twice).sum()} by {names[1]} alone"
    )
    ratio = quartiles(second.tau[twice] / first.tau[twice])
    if ratio is None:
        return f"{text}."
    low, middle, high = (f"{value:.2f}" for value in ratio)
    text += f"; {names[1]} over {names[0]}: {middle} ({low}–{high})"
    # Ranks of equal values have no correlation.
    if np.ptp(first.tau[twice]) > 0 and np.ptp(second.tau[twice]) > 0:
        # Half a second, which others that read from here do without.
        from scipy import stats

        r = stats.spearmanr(first.tau[twice], second.tau[twice]).statistic
        text += f", rank correlation {r:.2f}"
    return f"{text}."


def _read(path: Path, request: MeasureRequest) -> SpikeTimes | Series:
    """Return the neurons of a file, in the window that was asked for."""
    reading, ends = dict(request.reading), (request.start, request.stop)
    # A reader that aligns trials to an event needs the window before it cuts them.
    by_reader = "window" in find_reader(path, READERS, GROUP).assumptions()
    if by_reader and ends != (None, None):
        if None in ends:
            raise ValueError(f"{path}: window: got one end, need a start and a stop")
        reading["window"] = ends
    source = read_spike_times(path, **reading)
    if by_reader or ends == (None, None):
        return source
    try:
        return cut_window(source, *ends)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _measure(
    name: str, source: SpikeTimes | Series, request: MeasureRequest, progress: Progress
) -> MeasuredFile:
    """Return the timescales of a file's neurons; errors name the file and method."""
    timescales: dict[str, Timescales] = {}
    two, method, width = None, "", request.bin_width
    try:
        for method in request.methods:
            estimator = ESTIMATORS[method]
            settings: dict[str, Any] = (
                {"progress": progress} if estimator.progress else {}
            )
            if width is not None and estimator.width is not None:
                settings[estimator.width] = width
            timescales[method] = estimator(source, **settings)
        if request.two:
            method = "two timescales"
            bins = BIN_WIDTH if width is None else width
            two = two_timescales(source, bin_width=bins, progress=progress)
    except ValueError as error:
        raise ValueError(f"{name}: {method}: {error}") from error
    return MeasuredFile(name, source, timescales, two)


def _two_csv(two: TwoTimescales) -> str:
    """Return a row for each neuron: τ, shares, and the BIC of none, one and two."""
    heading = "neuron,number,tau_1_s,tau_2_s,share_1,share_2,bic_0,bic_1,bic_2\n"
    return heading + "".join(
        ",".join(map(repr, [k, int(count), *map(float, row)])) + "\n"
        for k, (count, row) in enumerate(
            zip(two.number, np.hstack([two.tau, two.share, two.bic]), strict=True)
        )
    )
