"""Estimators of others, imported from where the user has them.

Nothing of theirs is part of isotau. Each package runs in a process of its own, since
some of their modules have the same names, and under a time limit, since some take
minutes for a neuron. Where a setting is needed that a package has no default for, it
is said here.
"""

import importlib
import importlib.metadata
import io
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers.methods import Answer, Found, Method, answers, without_interval
from benchmarks.repository import git
from isotau.sim.timescales.records.series import Series

STEPS = 30
"""Longest lag of LevinaLab's fit, in steps, as in their analysis."""
VOYTEK_UNITS, MR_UNITS = 200, 100
"""Of each cell: what is left of a quarter of an hour of one core."""
BOOTED = 10
"""Units whose trials mrestimator resamples, which takes most of its time."""
RESAMPLES = 100
ABC = {"min_samples": 100, "steps": 15, "minAccRate": 0.02}
"""What abcTau is given; its own example has 500 samples, 60 steps and 0.003."""
ABC_LONGEST = 1000.0
"""Of the τ that abcTau draws evenly from 0 on, in ms."""
ABC_STATES = ("OU 20 ms, 40 × 1 s", "OU 100 ms, 40 × 1 s")
ABC_SPIKES = ("linear rate 100 ms, 200 × 2 s",)
CLEARING = 10.0
"""Seconds in which a process that has said all may clear up behind it."""
FAILURES = (RuntimeError, ValueError, ArithmeticError, LookupError, TypeError)
"""Of a fit that found nothing; some packages then return a number for a list."""
FITS = re.compile(
    r"\bcurve_fit\b|\bleast_squares\b|\bstatsmodels\b|\bscipy\.optimize\b"
)
PLACE = re.compile(r" \([^()]*[/\\][^()]*\)")
"""A path in an error's text, which is no one else's business."""


class Loaded(NamedTuple):
    """What a package has to offer.

    Attributes:
        methods: that can be called.
        missing: why others cannot, by name.
        version: of the package, where it has one.
    """

    methods: list[Method]
    missing: dict[str, str]
    version: str | None = None


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A package of others.

    Attributes:
        name: as it is shown.
        load: imports it, once its folders are on the path.
        folders: within its checkout, that its modules are imported from.
    """

    name: str
    load: Callable[[int], Loaded]
    folders: tuple[str, ...] = ("",)


@dataclass(kw_only=True)
class Told:
    """What came of one package.

    Attributes:
        peer: its name.
        reason: why it was not had; None if it was.
        commit: of its checkout, where it is one.
        version: of an installed package.
        missing: parts of it that were not had, and why.
        answers: what its methods said.
    """

    peer: str
    reason: str | None = None
    commit: str | None = None
    version: str | None = None
    missing: dict[str, str] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)


class Trials(NamedTuple):
    """One unit's data, as packages take them.

    Attributes:
        x: trial × sample.
        width: seconds between samples, or of a bin.
        first: lag of use: 0, or 1 for counts, whose lag 0 holds the noise of spikes.
    """

    x: np.ndarray
    width: float
    first: int


def per_unit(estimate: Callable[[Trials], float]) -> Callable[[Series], Found]:
    """Return a method that takes one unit at a time and returns τ in seconds.

    A unit at which it fails has none.
    """

    def run(series: Series) -> Found:
        tau = np.full(series.n, np.nan)
        for k in range(series.n):
            x = np.ascontiguousarray(series.values[:, :, k].T)
            unit = Trials(x, series.bin_width, int(series.kind == "counts"))
            try:
                tau[k] = estimate(unit)
            except FAILURES:
                continue
        return without_interval(tau)

    return run


def load_voytek(units: int) -> Loaded:
    """Return the fits of the Voytek lab's `timescales`, with its defaults."""
    missing = {}
    try:
        importlib.import_module("timescales.fit")
    except ImportError as error:
        # One of its modules needs a fork of fooof; the others are there by then.
        missing["PSD, knee"] = f"needs a fork of fooof ({_why(error)})"
    acf = sys.modules["timescales.fit.acf"]
    autoreg = importlib.import_module("timescales.autoreg")
    fits = importlib.import_module("timescales.autoreg.fit")
    spectral = importlib.import_module("neurodsp.spectral")

    def correlation(unit: Trials, *, cosine: bool) -> float:
        rate = 1 / unit.width
        whole, one, parts = acf.ACF(fs=rate), acf.ACF(), []
        for trial in unit.x:
            one.compute_acf(trial, rate)
            parts.append(one.corrs)
        whole.corrs = np.mean(parts, axis=0)[unit.first :]
        whole.lags = np.arange(unit.first, unit.first + len(whole.corrs))
        whole.fit(with_cos=cosine, gen_fits=False)
        return float(whole.params[0])

    def spectrum(unit: Trials) -> tuple[np.ndarray, np.ndarray]:
        freqs, powers = spectral.compute_spectrum(unit.x, 1 / unit.width)
        return freqs, powers.mean(axis=0)

    def line(unit: Trials) -> float:
        # As its `PSD` calls it for method "ar".
        fit = fits.ARPSD(
            1, 1 / unit.width, loss_fn="soft_l1", f_scale=0.5, maxfev=1000,
            ar_bounds=(0.0, 1.0),
        )  # fmt: skip
        fit.fit(*spectrum(unit))
        return unit.width * _steps(fit.params[0])

    def knee(unit: Trials) -> float:
        fit = sys.modules["timescales.fit.psd"].PSD()
        fit.fit(*spectrum(unit))
        return float(fit.tau)

    def burg(unit: Trials, *, demean: bool) -> float:
        x = unit.x if demean else unit.x - unit.x.mean()
        phi = np.mean([autoreg.burg(trial, 1, demean=demean) for trial in x])
        return unit.width * _steps(float(phi))

    named: dict[str, Callable[[Trials], float]] = {
        "voytek, ACF": lambda unit: correlation(unit, cosine=False),
        "voytek, ACF + cosine": lambda unit: correlation(unit, cosine=True),
        "voytek, AR(1) of PSD": line,
        "voytek, AR(1) by Burg": lambda unit: burg(unit, demean=True),
        "voytek, Burg, one mean": lambda unit: burg(unit, demean=False),
    }
    if not missing:
        named["voytek, PSD, knee"] = knee
    methods = [
        Method(name=name, run=per_unit(run), most=VOYTEK_UNITS)
        for name, run in named.items()
    ]
    return Loaded(methods, missing)


def _steps(phi: float) -> float:
    """Return the τ of an AR(1) process, in samples; NaN where it has none."""
    return float(-1 / np.log(phi)) if 0 < phi < 1 else float("nan")


def load_levina(units: int) -> Loaded:
    """Return LevinaLab's fit of one or two exponentials, whose slower one counts."""
    theirs = importlib.import_module("timescales_utils")

    def estimate(unit: Trials) -> float:
        correlation = theirs.comp_ac_fft(unit.x)
        longest = min(STEPS, len(correlation) - 1)
        lags = np.arange(len(correlation))
        _, tau = theirs.model_comp(correlation, lags, unit.first, longest)
        return float(unit.width * np.max(tau))

    return Loaded([Method(name="LevinaLab, AIC", run=per_unit(estimate))], {})


def load_mrestimator(units: int) -> Loaded:
    """Return the multistep regression of the Priesemann group."""
    mre = importlib.import_module("mrestimator")

    def run(series: Series, how: str, curve: str, booted: int = 0) -> Found:
        found = np.full((3, series.n), np.nan)
        for k in range(series.n):
            boots = RESAMPLES if k < booted else 0
            x = np.ascontiguousarray(series.values[:, :, k].T)
            try:
                lags = (1, series.bins // 2)
                slopes = mre.coefficients(x, how, lags, numboot=boots)
                fit = mre.fit(
                    slopes, curve, numboot=boots, quantiles=np.array([0.025, 0.975])
                )
            except FAILURES:
                continue
            found[0, k] = fit.tau
            if boots and fit.tauquantiles is not None:
                found[1:, k] = fit.tauquantiles
        return Found(*(series.bin_width * found))

    methods = [
        Method(
            name="mrestimator", most=MR_UNITS,
            run=lambda x: run(x, "stationarymean", "exponential", BOOTED),
        ),
        Method(
            name="mrestimator, by trials", most=MR_UNITS,
            run=lambda x: run(x, "trialseparated", "exponential_offset"),
        ),
    ]  # fmt: skip
    return Loaded(methods, {}, importlib.metadata.version("mrestimator"))


def load_abctau(units: int) -> Loaded:
    """Return abcTau's Bayesian fit, for a few units of a few cells."""
    # Of the numpy that it was written for.
    np.warnings = warnings  # type: ignore[attr-defined]
    abc = importlib.import_module("abcTau")
    np.random.seed(1)  # noqa: NPY002 - what abcTau draws from
    methods = [
        Method(
            name="abcTau", kinds=("signal",), most=units, cells=ABC_STATES, warm=False,
            run=lambda x: _abc_run(abc, x, "oneTauOU", ()),
        ),
        # A dispersion of 1: that of a Poisson process, which is the truth.
        Method(
            name="abcTau", kinds=("counts",), most=units, cells=ABC_SPIKES, warm=False,
            run=lambda x: _abc_run(abc, x, "oneTauOU_gammaSpikes", (1.0,)),
        ),
    ]  # fmt: skip
    return Loaded(methods, {})


def _abc_run(
    abc: ModuleType, series: Series, model: str, more: tuple[float, ...]
) -> Found:
    """Return the peaks of the posteriors of τ, and the middle 95 % of them."""
    generate = getattr(abc.generative_models, model)
    width = 1000 * series.bin_width
    longest = width * (series.bins // 2)
    found = np.full((3, series.n), np.nan)
    for k in range(series.n):
        x = np.ascontiguousarray(series.values[:, :, k].T)
        if series.kind == "counts":
            x = x / width
        measured, mean, variance, length, trials = abc.preprocessing.extract_stats(
            x, width, width, "comp_ac_fft", True, longest
        )

        def curve(
            theta: Sequence[float],
            mean: float = mean,
            variance: float = variance,
            length: float = length,
            trials: int = trials,
        ) -> Any:
            made, bins = generate(
                theta, width, width, length, trials, mean, variance, *more
            )
            return abc.summary_stats.comp_sumStat(
                made, "comp_ac_fft", True, width, width, length, bins, longest
            )

        found[:, k] = _abc_posterior(abc, measured, curve)
    # What its model calls τ is that of Euler's rule, whose steps are not small.
    share = width / np.maximum(found, 1.001 * width)
    return Found(*(-series.bin_width / np.log1p(-share)))


def _abc_posterior(
    abc: ModuleType, measured: np.ndarray, curve: Callable[[Sequence[float]], Any]
) -> tuple[float, float, float]:
    """Return the peak and the quantiles of the posterior of τ, in ms."""
    stats = importlib.import_module("scipy.stats")
    model: Any = type(
        "Curve",
        (abc.Model,),
        {
            "draw_theta": lambda self: [prior.rvs() for prior in self.prior],
            "generate_data": lambda self, theta: curve(theta),
            "summary_stats": lambda self, data: data,
            "distance_function": lambda self, a, b: (
                abc.distance_functions.linear_distance(a, b)
            ),
        },
    )
    priors = [stats.uniform(0, ABC_LONGEST)]
    with tempfile.TemporaryDirectory() as name:
        folder = name + os.sep
        result, last = abc.fit.fit_withABC(
            model, measured, priors, folder, "steps", folder, "all", 1, **ABC
        )
    accepted = result[last - 1]["theta accepted"]
    low, high = np.quantile(accepted, (0.025, 0.975))
    return float(abc.find_MAP(accepted, 2000)[0]), float(low), float(high)


PEERS = {
    "abctau": Peer(name="abcTau", load=load_abctau, folders=("", "abcTau")),
    "voytek": Peer(name="timescales (Voytek lab)", load=load_voytek),
    "levina": Peer(
        name="rnn_timescale_public (LevinaLab)",
        load=load_levina,
        folders=("", "analysis/timescales"),
    ),
    "mrestimator": Peer(name="mrestimator", load=load_mrestimator),
}
"""Packages that can be called, by the option that names their checkout."""


def without_estimator(checkout: Path | None) -> Told:
    """Return why geometric-intelligence's package has no place beside the others."""
    told = Told(peer="timescales (geometric-intelligence)")
    if checkout is None:
        told.reason = "no checkout was named"
        return told
    told.commit = git("rev-parse", "--short", "HEAD", root=checkout) or None
    fitting = [
        path.relative_to(checkout).as_posix()
        for path in sorted(checkout.rglob("*.py"))
        if FITS.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    told.reason = (
        f"it fits something in {', '.join(fitting)}, for which no call is written here"
        if fitting
        else "it has no estimator; its timescales are parameters of its networks, and "
        "none of its modules fits one to activity"
    )
    return told


def in_julia() -> Told:
    """Return why IntrinsicTimescales.jl is not asked."""
    there = (
        "for which no call is written"
        if shutil.which("julia")
        else "which is not to be had"
    )
    return Told(
        peer="IntrinsicTimescales.jl",
        reason=f"it needs Julia, {there} here. By its source it takes the "
        "fall to 1/e of each trial's autocorrelation about its own mean, or an "
        "exponential through that, or a Bayesian fit like abcTau's",
    )


def ask(
    key: str,
    checkout: Path | None,
    sites: Sequence[Path],
    jobs: Mapping[str, Any],
    limit: float,
) -> Told:
    """Return what a package says of cells, from a process of its own.

    Args:
        key: of `PEERS`.
        checkout: of the package; None if it is to be found in `sites`.
        sites: folders with what packages need, looked at last.
        jobs: arguments of `answers` without the methods, and `few`: units of a method
            that takes minutes for one.
        limit: seconds for each answer.
    """
    told = Told(peer=PEERS[key].name)
    folders = [str(checkout / each) for each in PEERS[key].folders if checkout]
    if checkout is None and key != "mrestimator":
        told.reason = "no checkout was named"
        return told
    if checkout is not None:
        told.commit = git("rev-parse", "--short", "HEAD", root=checkout) or None
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(
        target=_child,
        args=(theirs, key, folders, [str(site) for site in sites], dict(jobs)),
    )
    child.start()
    # Only the child's copy is left, so that its end is seen here.
    theirs.close()
    try:
        while ours.poll(limit):
            what, value = ours.recv()
            if what == "done":
                child.join(CLEARING)
                return told
            _take(told, what, value)
            if told.reason is not None:
                return told
        told.missing["what was left"] = f"one answer took more than {limit:g} s"
    except EOFError:
        # What has said all says so; the others have died of something.
        told.missing["what was left"] = "its process ended"
    finally:
        child.terminate()
        child.join()
    if not told.answers:
        told.reason = told.missing.pop("what was left")
    return told


def _take(told: Told, what: str, value: Any) -> None:
    """Note one message of the child."""
    if what == "answer":
        told.answers.append(value)
    elif what == "loaded":
        told.missing, told.version = value
    else:
        told.reason = value


def _child(
    send: Connection,
    key: str,
    folders: list[str],
    sites: list[str],
    jobs: dict[str, Any],
) -> None:
    """Load a package and send what it says."""
    sys.path[:0] = folders
    sys.path.extend(sites)
    warnings.simplefilter("ignore")
    few = jobs.pop("few")
    # Progress bars and reports are for those who run it by hand.
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        try:
            loaded = PEERS[key].load(few)
        except Exception as error:
            send.send(("failed", _why(error)))
            return
        send.send(("loaded", (loaded.missing, loaded.version)))
        try:
            for answer in answers(loaded.methods, **jobs):
                send.send(("answer", answer))
            send.send(("done", None))
        except Exception as error:
            send.send(("failed", f"stopped: {_why(error)}"))


def _why(error: Exception) -> str:
    """Return an error in words, without places on this machine."""
    return f"{type(error).__name__}: {PLACE.sub('', str(error))}"
