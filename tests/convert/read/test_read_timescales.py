"""Timescales from files, sound and not."""

import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.read import read_timescales as module
from isotau.convert.read.read_timescales import read_timescales
from isotau.sim.timescales.records.record import Status, Timescales, write_csv

TAU = np.array([0.05, np.nan, 0.2])
LAGS = np.array([0.0, 0.01, 0.05])
CURVES = np.exp(-LAGS[:, None] / np.array([0.05, 0.1, 0.2]))


def test_tables_in_seconds_and_milliseconds_give_the_same(tmp_path):
    (tmp_path / "a.csv").write_text("# mine\nneuron,tau_s\n0,0.05\n1,\n2,0.2\n")
    (tmp_path / "b.csv").write_text("tau_ms,variance\n50,1\nnan,2\n200,4\n")
    np.savez(tmp_path / "c.npz", tau=TAU, variance=np.array([1.0, 2, 4]))
    for name in ("a.csv", "b.csv", "c.npz"):
        wanted = read_timescales(tmp_path / name)
        np.testing.assert_allclose(wanted.tau, TAU, rtol=1e-15)
        if name == "a.csv":
            assert wanted.variance is None
        else:
            np.testing.assert_array_equal(wanted.variance, [1, 2, 4])


def test_isotaus_own_tables_are_read_as_they_are(tmp_path):
    ok, none = Status.OK, Status.NO_DECAY
    measured = Timescales(
        tau=TAU,
        status=(ok, none, ok),
        amplitude=TAU,
        offset=TAU,
        rate=np.ones(3),
        method="ml",
        bin_width=0.05,
        lags=14,
    )
    path = write_csv(measured, tmp_path / "timescales.csv")
    np.testing.assert_array_equal(read_timescales(path).tau, TAU)


def test_curves_of_either_kind_give_the_same(tmp_path):
    variance = np.array([2.0, 3.0, 4.0])
    np.savez(tmp_path / "a.npz", autocovariance=CURVES * variance, lags=LAGS)
    np.savez(tmp_path / "b.npz", autocorrelation=CURVES, lags=LAGS, variance=variance)
    for name in "ab":
        wanted = read_timescales(tmp_path / f"{name}.npz")
        np.testing.assert_allclose(wanted.correlation, CURVES)
        np.testing.assert_allclose(wanted.variance, variance)
        np.testing.assert_array_equal(wanted.lags, LAGS)


def test_neurons_without_variance_are_not_looked_at(tmp_path):
    still = CURVES * np.array([1.0, 0.0, 1.0])
    np.savez(tmp_path / "a.npz", autocovariance=still, lags=LAGS)
    wanted = read_timescales(tmp_path / "a.npz")
    assert np.isnan(wanted.correlation[:, 1]).all()
    assert np.isfinite(wanted.correlation[:, [0, 2]]).all()


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"x": TAU}, "got x, need one of tau, autocorrelation, autocovariance"),
        ({"tau": TAU, "autocorrelation": CURVES}, "got autocorrelation, tau, need one"),
        ({"tau": TAU, "lags": LAGS}, "lags: got some with tau, need none"),
        ({"autocorrelation": CURVES}, "lags: got none, need those of the curves"),
        ({"tau": -TAU}, "tau: got -0.05 at"),
        ({"tau": TAU, "variance": LAGS[:2]}, "variance: got shape"),
        (
            {"autocovariance": CURVES, "lags": LAGS, "variance": LAGS},
            "variance: got one with an autocovariance, need none",
        ),
        (
            {"autocovariance": CURVES, "lags": LAGS + 0.1},
            "autocovariance: need lag × neuron, lag 0 first",
        ),
        ({"tau": np.array(["a"])}, "tau: got "),
    ],
)
def test_arrays_that_cannot_be_are_refused(tmp_path, arrays, text):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UnreadableFile, match=rf"a\.npz: {text}"):
        read_timescales(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", r"not a readable \.csv file"),
        ("tau_s\n", "need a line of names and lines of 1 cells below"),
        ("tau_s,neuron\n0.1\n", "need a line of names and lines of 2 cells"),
        ("neuron\n1\n", "got the columns neuron, need tau_s or tau_ms"),
        ("tau_s,tau_ms\n1,2\n", "got the columns tau_s, tau_ms, need tau_s or"),
        ("tau_s\nslow\n", "the table is damaged"),
        ("tau_s\n-1\n", "tau: got -1.0 at"),
        ('tau_s\n"1\n', r"not a readable \.csv file|the table is damaged"),
    ],
)
def test_tables_that_cannot_be_are_refused(tmp_path, text, match):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UnreadableFile, match=match):
        read_timescales(tmp_path / "a.csv")


def test_files_that_are_none_are_refused(tmp_path, monkeypatch):
    with pytest.raises(UnreadableFile, match="no such file"):
        read_timescales(tmp_path / "a.csv")
    with pytest.raises(UnreadableFile, match=r"Is a directory|Permission"):
        read_timescales(tmp_path)
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00tau_s")
    with pytest.raises(UnreadableFile, match=r"not a readable \.csv"):
        read_timescales(tmp_path / "b.csv")
    (tmp_path / "c.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(UnreadableFile, match=r"c\.npz: "):
        read_timescales(tmp_path / "c.npz")
    monkeypatch.setattr(module, "LARGEST", 10)
    (tmp_path / "d.csv").write_text("tau_s\n0.1\n0.2\n")
    with pytest.raises(UnreadableFile, match="got 14 bytes, need at most 10"):
        read_timescales(tmp_path / "d.csv")
