"""Packages of others: how they are found, called and given up; stand-ins for theirs."""

import sys
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.peers import outside
from benchmarks.peers.known import cell_named, drawn
from benchmarks.peers.outside import (
    BOOTED,
    MR_UNITS,
    Trials,
    ask,
    in_julia,
    load_levina,
    load_voytek,
    per_unit,
    without_estimator,
)
from isotau.sim.timescales.records.series import Series

CELL = "OU 20 ms, 40 × 1 s"
JOBS = {"cells": [CELL], "units": MR_UNITS + 2, "seed": 0, "few": 1}
REGRESSION = """
    from types import SimpleNamespace

    print("reports are not for the page")

    def coefficients(x, method, steps, numboot):
        assert x.shape == (40, 200) and steps == (1, 100), (x.shape, steps)
        return method

    def fit(method, curve, numboot, quantiles):
        if method == "trialseparated":
            raise RuntimeError("no fit")
        assert curve == "exponential" and list(quantiles) == [0.025, 0.975]
        return SimpleNamespace(tau=4.0, tauquantiles=[3.0, 5.0] if numboot else None)
"""


EXPONENTIALS = """
    import numpy as np

    def comp_ac_fft(x):
        return np.ones(x.shape[1] - 1)

    def model_comp(ac, lags, first, last):
        assert (len(ac), len(lags), first, last) == (199, 199, 0, 30)
        return 2, np.array([3.0, 10.0])
"""


def write(folder, modules: dict[str, str]) -> None:
    """Write modules, by their paths without the ending."""
    for name, text in modules.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


def install(folder, text: str) -> None:
    """Make a module stand where mrestimator 1.2 would be installed."""
    write(folder, {"mrestimator": text})
    about = folder / "mrestimator-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: mrestimator\nVersion: 1.2\n")


@pytest.fixture
def importable(tmp_path, monkeypatch):
    """Write modules that can be imported during a test alone."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda modules: write(tmp_path, modules)
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("timescales", "neurodsp", "timescales_utils"):
            del sys.modules[name]


def test_a_package_is_asked_in_a_process_of_its_own(tmp_path):
    install(tmp_path, REGRESSION)
    told = ask("mrestimator", None, [tmp_path], JOBS, limit=60)
    assert (told.reason, told.version, told.missing) == (None, "1.2", {})
    mean, trials = told.answers
    assert (mean.method, mean.cell) == ("mrestimator", CELL)
    np.testing.assert_allclose(mean.found.tau, np.full(MR_UNITS, 0.02))
    np.testing.assert_allclose(mean.found.high[:BOOTED], 0.025)
    assert np.isnan(mean.found.low[BOOTED:]).all()
    assert np.isnan(trials.found.tau).all() and mean.seconds >= 0
    assert "mrestimator" not in sys.modules


def test_a_package_that_is_not_there_is_said_not_to_be(tmp_path):
    theirs = "analysis/timescales/timescales_utils"
    write(tmp_path, {theirs: "import nowhere_to_be_had"})
    told = ask("levina", tmp_path, [], JOBS, limit=60)
    assert told.reason == "ModuleNotFoundError: No module named 'nowhere_to_be_had'"
    assert not told.answers
    assert ask("abctau", None, [], JOBS, limit=60).reason == "no checkout was named"


def test_what_takes_too_long_is_given_up(tmp_path):
    told = ask("mrestimator", None, [tmp_path], JOBS, limit=0.05)
    assert told.reason == "one answer took more than 0.05 s"
    assert not told.missing and not told.answers


def test_a_process_that_dies_is_not_taken_for_one_that_is_done(tmp_path):
    dying = "import os\n\ndef coefficients(*words, **more):\n    os._exit(3)\n"
    install(tmp_path, dying)
    told = ask("mrestimator", None, [tmp_path], JOBS, limit=60)
    assert told.reason == "its process ended" and not told.answers


def test_errors_name_no_place_on_this_machine():
    error = ImportError("cannot import name 'a' from 'b' (/somewhere/b.py)")
    assert outside._why(error) == "ImportError: cannot import name 'a' from 'b'"
    assert outside._why(ValueError("got 3 (of 4)")) == "ValueError: got 3 (of 4)"


def test_a_unit_at_which_a_fit_fails_has_no_timescale():
    def estimate(unit: Trials) -> float:
        assert unit.x.shape == (2, 8) and (unit.width, unit.first) == (0.025, 1)
        if unit.x[0, 0] == 1:
            raise RuntimeError("no fit")
        return 0.1 * unit.x[1, 0]

    values = np.arange(48.0).reshape(8, 2, 3)
    found = per_unit(estimate)(Series(values=values, bin_width=0.025))
    np.testing.assert_allclose(found.tau, [0.3, np.nan, 0.5])


def test_the_slower_of_two_exponentials_counts(importable):
    importable({"timescales_utils": EXPONENTIALS})
    (method,) = load_levina(1).methods
    found = method.run(drawn(cell_named(CELL), 2, 0))
    np.testing.assert_allclose(found.tau, [0.05, 0.05])


VOYTEK = {
    "timescales/fit/__init__": """
        from .acf import ACF
        from nowhere_to_be_had import PSD
    """,
    "timescales/fit/acf": """
        class ACF:
            def __init__(self, fs=None):
                self.fs = fs

            def compute_acf(self, trial, fs):
                assert trial.ndim == 1 and fs == 200
                self.corrs = trial[:4] * 0 + 1

            def fit(self, with_cos, gen_fits):
                assert len(self.lags) == len(self.corrs) == 4 and self.lags[0] == 0
                self.params = [0.03] if not with_cos else float("nan")
    """,
    "timescales/autoreg/fit": """
        class ARPSD:
            def __init__(self, order, fs, **settings):
                assert order == 1 and fs == 200

            def fit(self, freqs, powers):
                assert powers.shape == (3,)
                self.params = [1.5]
    """,
    "timescales/autoreg/__init__": """
        def burg(trial, order, demean):
            return [0.5 if demean else 0.25]
    """,
    "neurodsp/spectral": """
        import numpy as np

        def compute_spectrum(x, fs):
            return np.arange(3), np.ones((len(x), 3))
    """,
}


def test_the_part_that_needs_a_fork_is_missing_and_the_others_are_not(importable):
    importable(VOYTEK)
    loaded = load_voytek(1)
    assert "nowhere_to_be_had" in loaded.missing["PSD, knee"]
    series = drawn(cell_named(CELL), 1, 0)
    found = {method.name: method.run(series).tau[0] for method in loaded.methods}
    assert found["voytek, ACF"] == pytest.approx(0.03)
    assert np.isnan(found["voytek, ACF + cosine"])
    assert np.isnan(found["voytek, AR(1) of PSD"])
    assert found["voytek, AR(1) by Burg"] == pytest.approx(-0.005 / np.log(0.5))
    assert found["voytek, Burg, one mean"] == pytest.approx(-0.005 / np.log(0.25))


def fake_abc(accepted: np.ndarray, seen: dict) -> SimpleNamespace:
    """Stands in for abcTau: accepts what it is told to, and notes what it is given."""

    def extract(data, step, width, metric, normed, longest):
        seen["data"] = data
        return np.ones(3), 1.0, 2.0, step * data.shape[1], len(data)

    def generate(theta, step, width, length, trials, mean, variance, *more):
        seen["generated"] = (step, width, length, trials, mean, variance, more)
        return "made", 7

    def fit(model, measured, priors, *rest, **settings):
        seen["settings"] = settings
        curve = model()
        curve.prior = priors
        (seen["theta"],) = curve.draw_theta()
        seen["curve"] = curve.generate_data([1.0])
        return [{"theta accepted": accepted}, {"theta accepted": None}], 1

    return SimpleNamespace(
        Model=object,
        preprocessing=SimpleNamespace(extract_stats=extract),
        generative_models=SimpleNamespace(one=generate),
        summary_stats=SimpleNamespace(comp_sumStat=lambda made, *rest: (made, rest)),
        distance_functions=SimpleNamespace(linear_distance=None),
        fit=SimpleNamespace(fit_withABC=fit),
        find_MAP=lambda values, number: [np.median(values)],
    )


def test_eulers_rule_is_undone():
    seen: dict = {}
    abc = fake_abc(np.array([[15.0, 20.0, 30.0]]), seen)
    found = outside._abc_run(abc, drawn(cell_named(CELL), 1, 0), "one", ())
    assert found.tau[0] == pytest.approx(-0.005 / np.log(1 - 5 / 20))
    assert found.low[0] < found.tau[0] < found.high[0] < -0.005 / np.log(1 - 5 / 30)
    assert seen["generated"] == (5.0, 5.0, 1000.0, 40, 1.0, 2.0, ())
    assert seen["settings"] == outside.ABC and 0 <= seen["theta"] <= 1000
    assert seen["curve"][0] == "made"


def test_counts_are_given_as_rates():
    # Its binning multiplies by the width again.
    seen: dict = {}
    series = drawn(cell_named("linear rate 100 ms, 40 × 1 s"), 1, 0)
    outside._abc_run(fake_abc(np.array([[99.0, 100.0]]), seen), series, "one", (1.0,))
    np.testing.assert_allclose(25 * seen["data"], series.values[:, :, 0].T)
    assert seen["generated"][-1] == (1.0,)


def test_a_package_without_an_estimator_is_searched_for_one(tmp_path):
    assert without_estimator(None).reason == "no checkout was named"
    write(tmp_path, {"net": "class Net:\n    timescales = None\n"})
    assert "it has no estimator" in (without_estimator(tmp_path).reason or "")
    write(tmp_path, {"fits": "from scipy.optimize import curve_fit\n"})
    assert "fits something in fits.py" in (without_estimator(tmp_path).reason or "")


def test_julia_is_looked_for(monkeypatch):
    monkeypatch.setattr(outside.shutil, "which", lambda name: None)
    assert "which is not to be had here" in (in_julia().reason or "")
    monkeypatch.setattr(outside.shutil, "which", lambda name: "there")
    assert "for which no call is written here" in (in_julia().reason or "")
