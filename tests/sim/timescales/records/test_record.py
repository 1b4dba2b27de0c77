"""`Timescales`: the record, its summary, and its file."""

import csv
import json
import re
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.sim.timescales import Status, Timescales, read_csv, summary, write_csv

NAN = float("nan")
FIELDS = {
    "tau": np.array([0.1, NAN, 1 / 3]),
    "status": (Status.OK, Status.TOO_LONG, Status.OK),
    "amplitude": np.array([0.5, 5e-324, -0.0]),
    "offset": np.array([NAN, 1e300, 0.1]),
    "rate": np.array([5.0, 0.0, 1e-7]),
    "method": "kim",
    "bin_width": 0.05,
    "lags": 14,
    "low": np.array([0.05, NAN, 0.0]),
    "high": np.array([0.2, NAN, np.inf]),
    "estimate": np.array([0.1, 1.5, 1 / 3]),
    "goodness": np.array([30.0, NAN, 9.5]),
    "level": 0.9,
}
ARRAYS = ["tau", "low", "high", "estimate", "amplitude", "offset", "goodness", "rate"]


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_read_only_copies(name):
    given = FIELDS[name].copy()
    kept = getattr(Timescales(**FIELDS | {name: given}), name)
    given[...] = 0
    np.testing.assert_array_equal(kept, FIELDS[name])
    assert not kept.flags.writeable


def test_it_is_frozen():
    with pytest.raises(FrozenInstanceError):
        Timescales(**FIELDS).lags = 1


def test_statuses_may_be_given_by_name():
    record = Timescales(**FIELDS | {"status": ["ok", "too long", "ok"]})
    assert record.status == FIELDS["status"]


REFUSED = [
    ({"tau": np.zeros((1, 3))}, "tau: got shape (1, 3), need 1 axes"),
    ({"tau": np.array([0.1, NAN, np.inf])}, "tau: got inf at [2], need finite numbers"),
    ({"status": (Status.OK,)}, "status: got 1 entries, need 3"),
    ({"status": ("ok", "too long", "odd")}, "status[2]: got 'odd', need one of ok"),
    ({"tau": np.full(3, NAN)}, "tau: got nan at [0] with status 'ok', need a number"),
    ({"tau": np.full(3, 0.1)}, "tau: got 0.1 at [1] with status 'too long', need a"),
    ({"tau": np.array([-0.1, NAN, 1])}, "tau: got -0.1 at [0] with status 'ok'"),
    ({"low": np.array([0.3, NAN, 0.0])}, "low: got 0.3 s at [0], need at most high"),
    ({"low": np.array([-0.1, NAN, 0.0])}, "low: got -0.1 at [0], need numbers of at"),
    ({"high": np.full(3, -np.inf)}, "high: got -inf at [0], need finite numbers"),
    ({"estimate": np.full(3, np.inf)}, "estimate: got inf at [0], need finite"),
    ({"level": 1.0}, "level: got 1.0, need less than 1"),
    ({"level": 0.0}, "level: got 0.0, need numbers greater than 0"),
    ({"amplitude": np.zeros(2)}, "amplitude: got shape (2,), need (3,) (neuron)"),
    ({"offset": np.full(3, -np.inf)}, "offset: got -inf at [0], need finite numbers"),
    ({"rate": np.array([1, 1, np.inf])}, "rate: got inf at [2], need finite numbers"),
    ({"rate": np.array([1.0, -1.0, 0.0])}, "rate: got -1.0 at [1], need numbers of"),
    ({"bin_width": 0.0}, "bin_width: got 0.0, need numbers greater than 0"),
    ({"lags": 0}, "lags: got 0, need 1 to"),
]


@pytest.mark.parametrize(("changes", "text"), REFUSED)
def test_refusals(changes, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Timescales(**FIELDS | changes)


def test_summary_is_json():
    found = summary(Timescales(**FIELDS))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found == {
        "method": "kim",
        "n_neurons": 3,
        "n_timescales": 2,
        "median_tau_s": pytest.approx((0.1 + 1 / 3) / 2),
        "mean_rate_hz": pytest.approx(5.0000001 / 3),
        "status": {"ok": 2, "too long": 1},
    }


def test_what_is_left_out():
    names = ("low", "high", "estimate", "goodness", "level")
    short = Timescales(**{k: v for k, v in FIELDS.items() if k not in names})
    np.testing.assert_array_equal(short.estimate, short.tau)
    assert np.isnan([short.low, short.high, short.goodness]).all()
    assert short.level == 0.95


def test_signals_have_no_rate():
    record = Timescales(**FIELDS | {"rate": np.full(3, NAN)})
    assert summary(record)["mean_rate_hz"] is None


def test_summary_of_none():
    none = Timescales(
        **FIELDS | {"tau": np.full(3, NAN), "status": (Status.LATE_PEAK,) * 3}
    )
    assert summary(none)["median_tau_s"] is None
    assert summary(none)["n_timescales"] == 0


def test_round_trip_bit_for_bit(tmp_path):
    record = Timescales(**FIELDS)
    back = read_csv(write_csv(record, tmp_path / "deep" / "tau.csv"))
    for field in fields(record):
        x, y = getattr(record, field.name), getattr(back, field.name)
        if isinstance(x, np.ndarray):
            np.testing.assert_array_equal(x, y)
            defined = np.isfinite(x)
            assert x[defined].tobytes() == y[defined].tobytes()
        else:
            assert x == y


def test_others_can_read_the_table(tmp_path):
    path = write_csv(Timescales(**FIELDS), tmp_path / "tau.csv")
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# {")
    rows = list(csv.DictReader(lines[1:]))
    assert [row["neuron"] for row in rows] == ["0", "1", "2"]
    assert [row["status"] for row in rows] == ["ok", "too long", "ok"]
    assert float(rows[0]["tau_s"]) == 0.1
    assert rows[1]["tau_s"] == "nan"


def edited(tmp_path, old, new):
    path = write_csv(Timescales(**FIELDS), tmp_path / "tau.csv")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("# {", "", "got no line of settings at the top"),
        ('"isotau"', '"other"', "got no line of settings at the top"),
        ('"Timescales"', '"Spikes"', "got Spikes of format 2, need Timescales of"),
        ('"format": 2', '"format": 3', "got Timescales of format 3, need Timescales"),
        ('"format": 2', '"format": 1', "got Timescales of format 1, need 2; measure"),
        ("neuron,status", "status,neuron", "need a line with neuron,status,tau_s"),
        ("too long", "odd", "the table is damaged (status[1]: got 'odd'"),
        ("ok,0.1", "ok,x", "the table is damaged"),
        ("ok,0.1,", "ok,", "the table is damaged"),
        (',"lags": 14'.replace(",", ", "), "", "the table is damaged ('lags')"),
    ],
)
def test_damaged_files(old, new, text, tmp_path):
    with pytest.raises(UnreadableFile, match=re.escape(text)):
        read_csv(edited(tmp_path, old, new))


def test_no_table(tmp_path):
    with pytest.raises(UnreadableFile, match=r"none\.csv: not a readable \.csv file"):
        read_csv(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(UnreadableFile, match="got no line of settings"):
        read_csv(tmp_path / "a.csv")
    path = write_csv(Timescales(**FIELDS), tmp_path / "b.csv")
    path.write_text(path.read_text().splitlines()[0])
    with pytest.raises(UnreadableFile, match="need a line with neuron"):
        read_csv(path)
    path = write_csv(Timescales(**FIELDS), tmp_path / "c.csv")
    path.write_text("\n".join(path.read_text().splitlines()[:2]))
    with pytest.raises(UnreadableFile, match="the table is damaged"):
        read_csv(path)
    (tmp_path / "d.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(UnreadableFile, match="not a readable"):
        read_csv(tmp_path / "d.csv")
