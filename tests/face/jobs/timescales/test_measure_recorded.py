"""Recorded neurons through the estimators: files, names, windows, and what is left."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records import storage
from isotau.convert.records.spikes import Spikes
from isotau.jobs.timescales.measure_recorded import (
    MeasureRequest,
    in_ms,
    measure_files,
    numbers,
    quartiles,
    table,
    write,
)
from isotau.sim.recorded import from_trials, write_arrays
from isotau.sim.timescales import Status, exponential, kim, ml, read_csv, sttc

TAU, TRIALS, DT = 0.1, 60, 0.002


def slow_neurons(n: int, seed: int, *, trials: int = TRIALS, names=()) -> object:
    """Poisson spikes of 30 Hz whose rate wanders with a τ of 100 ms, for 1 s."""
    rng = np.random.default_rng(seed)
    steps, keep = round(1 / DT), np.exp(-DT / TAU)
    x = np.empty((steps, trials, n))
    x[0] = rng.standard_normal((trials, n))
    for k in range(1, steps):
        fresh = rng.standard_normal((trials, n))
        x[k] = keep * x[k - 1] + np.sqrt(1 - keep**2) * fresh
    spiked = rng.random(x.shape) < 30 * DT * np.maximum(1 + x, 0)
    times = [
        [DT * np.flatnonzero(spiked[:, j, k]) for j in range(trials)] for k in range(n)
    ]
    return from_trials(times, window=(0, 1), names=names)


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "cells.npz"
    return write_arrays(slow_neurons(8, 0, names=[f"n{k}" for k in range(8)]), path)


def test_a_file_is_measured_by_every_method(cells):
    methods = ("ml", "exponential")
    (found,) = measure_files([cells], MeasureRequest(methods=methods))
    assert found.name == "cells" and tuple(found.timescales) == methods
    assert found.two is None
    alone = {"ml": ml(found.source), "exponential": exponential(found.source)}
    for method, timescales in found.timescales.items():
        assert np.array_equal(timescales.tau, alone[method].tau, equal_nan=True)
    tau = found.timescales["ml"].tau
    assert np.isfinite(tau).sum() >= 6 and 0.07 <= np.nanmedian(tau) <= 0.14


def test_bins_are_what_was_asked(cells):
    asked = MeasureRequest(methods=("kim", "sttc"), bin_width=0.06)
    (found,) = measure_files([cells], asked)
    alone = kim(found.source, bin_width=0.06), sttc(found.source, lag=0.06)
    for got, wanted in zip(found.timescales.values(), alone, strict=True):
        assert got.bin_width == 0.06
        assert np.array_equal(got.tau, wanted.tau, equal_nan=True)
    with pytest.raises(
        ValueError, match=r"got 0\.1 s for kim_pfc, need none: its bins"
    ):
        MeasureRequest(methods=("ml", "kim_pfc"), bin_width=0.1)
    with pytest.raises(ValueError, match="bin_width: got -1"):
        MeasureRequest(bin_width=-1)
    with pytest.raises(ValueError, match="method: got 'hope', need one of ml, expon"):
        MeasureRequest(methods=("ml", "hope"))


def test_the_window_reaches_the_files(cells, tmp_path):
    (found,) = measure_files([cells], MeasureRequest(start=0.1, stop=0.9))
    assert found.source.duration == pytest.approx(0.8)
    with pytest.raises(ValueError, match=r"cells\.npz: window: got 0 to 2 s"):
        measure_files([cells], MeasureRequest(stop=2.0))
    with pytest.raises(ValueError, match="window: got one end, need a start and a st"):
        measure_files([tmp_path], MeasureRequest(stop=0.5))  # a folder of .mat files


def test_errors_name_the_file(cells, tmp_path):
    with pytest.raises(ValueError, match=r"^cells: ml: bins: got 2 of 0\.025 s"):
        measure_files([cells], MeasureRequest(stop=0.05))
    with pytest.raises(ValueError, match=r"cells\.npz: got align, need \.npz files"):
        measure_files([cells], MeasureRequest(reading={"align": "cue"}))
    (tmp_path / "notes.npz").write_text("nothing")
    for path in (tmp_path / "notes.npz", tmp_path / "absent.npz"):
        with pytest.raises(UnreadableFile, match=path.name):
            measure_files([cells, path], MeasureRequest())


def test_recordings_of_isotau_are_read_too(tmp_path):
    bits = np.random.default_rng(0).integers(0, 256, (1000, 5, 1), dtype=np.uint8)
    spikes = Spikes(bits=bits, n=8, dt=1e-3, engine="test")
    path = storage.save(spikes, tmp_path / "lif.spikes.npz")
    (found,) = measure_files([path], MeasureRequest())
    assert found.name == "lif.spikes" and found.source.n == 8
    assert set(found.timescales["ml"].status) == {Status.NOT_IDENTIFIABLE}


def test_everything_is_written(cells, tmp_path):
    other = cells.parent / "deeper" / "cells.npz"
    other.parent.mkdir()
    write_arrays(slow_neurons(3, 1, trials=5), other)
    request = MeasureRequest(methods=("ml", "kim"), two=True, reading={})
    measured = measure_files([cells, other], request)
    out = tmp_path / "out"
    path = write(measured, request, out)
    stems = [f"{cells.parent.name}_cells", "deeper_cells"]
    ends = (".ml.csv", ".kim.csv", ".two.csv", ".tau.png", ".statuses.png")
    wanted = {stem + end for stem in stems for end in ends}
    assert {p.name for p in out.iterdir()} == wanted | {"timescales.json"}
    assert all(p.read_bytes()[:4] == b"\x89PNG" for p in out.glob("*.png"))
    kept = read_csv(out / f"{stems[0]}.ml.csv")
    assert np.array_equal(kept.high, measured[0].timescales["ml"].high, equal_nan=True)
    with open(out / f"{stems[0]}.two.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["number"]) for row in rows] == measured[0].two.number.tolist()
    assert float(rows[0]["bic_1"]) == measured[0].two.bic[0, 1]
    said = json.loads(path.read_text(encoding="utf-8"))
    first, second = said["files"]
    assert first["trials"] == [TRIALS, TRIALS] and first["length_s"] == 1
    assert first["names"] == [f"n{k}" for k in range(8)] and second["names"] == []
    assert first["methods"]["ml"]["bin_width_s"] == 0.025
    assert first["methods"]["ml"]["n_timescales"] == np.isfinite(kept.tau).sum()
    assert second["trials"] == [5, 5]


def test_counts_are_told_of_as_spikes_are(tmp_path):
    rng = np.random.default_rng(0)
    observed = np.ones((30, 2), dtype=bool)
    observed[20:, 1] = False
    path = tmp_path / "counts.npz"
    np.savez(
        path, counts=rng.poisson(1, (30, 2, 40)), bin_width=0.025, observed=observed
    )
    (found,) = measure_files([path], MeasureRequest())
    said = numbers(found)
    assert said["trials"] == [20, 30] and said["length_s"] == 1
    assert said["source"] == "counts"
    assert "20–30" in printed([found])


def printed(measured) -> str:
    text = io.StringIO()
    Console(width=80, file=text).print(table(measured))
    return text.getvalue()


def test_the_table_has_a_line_for_each_method(cells, tmp_path):
    odd = cells.parent / "quiet[bold].npz"
    write_arrays(slow_neurons(2, 3, trials=3), odd)
    (found,) = measure_files([cells], MeasureRequest(methods=("ml", "exponential")))
    (quiet,) = measure_files([odd], MeasureRequest())
    said = printed([found, quiet])
    assert "quiet[bold]" in said and "2 not" in said.replace("identifiable", "")
    (line,) = [line for line in said.splitlines() if line.startswith("   exponential")]
    assert "of 8" in line and " ms (" in line and " Hz" in line


def test_quartiles_leave_out_what_is_not_known():
    assert quartiles(np.array([np.nan, 1.0, 2.0, 3.0])) == [1.5, 2.0, 2.5]
    assert quartiles(np.array([np.nan])) is None
    assert in_ms([0.05, 0.1, 0.2]) == "100 ms (50–200)"
    assert in_ms(None) == "none"
