"""Pictures: that they are drawn, in a sensible size, also of next to nothing."""

import re

import matplotlib
import numpy as np
import pytest

from isotau.convert.records.spikes import Spikes, pack
from isotau.convert.records.trials import Trials
from isotau.sim.plot import draw as plot
from isotau.sim.timescales import Status, Timescales

RNG = np.random.default_rng(0)
N, BATCH = 10, 4
DALE = [1] * 6 + [-1] * 3 + [0]


def spikes(probability=0.05, batch=BATCH, steps=100):
    raster = RNG.random((steps, batch, N)) < probability
    return Spikes(bits=pack(raster), n=N, dt=0.001, engine="recorded")


def timescales(tau, unidentified=Status.LATE_PEAK):
    tau = np.asarray(tau, dtype=float)
    return Timescales(
        tau=tau,
        status=tuple(Status.OK if k else unidentified for k in np.isfinite(tau)),
        amplitude=tau,
        offset=tau,
        rate=np.ones(tau.size),
        method="kim",
        bin_width=0.05,
        lags=14,
    )


def trials(n_out=1, steps=20, batch=BATCH):
    targets = np.zeros((steps, batch, n_out))
    targets[steps // 2 :, ::2] = 1
    return Trials(
        inputs=np.zeros((steps, batch, 1)),
        targets=targets,
        mask=np.ones((steps, batch), dtype=bool),
        labels=np.arange(batch) % 2,
        dt=0.1 / steps,
        task="go-nogo",
    )


def size_of(path):
    """Return width and height of a PNG, in pixels, from its header."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def is_a_picture(path, tmp_path):
    """Check size and content; nothing else may be left in the folder."""
    width, height = size_of(path)
    assert 600 <= width <= 4000
    assert 300 <= height <= 4000
    assert 5_000 < path.stat().st_size < 1_000_000
    assert list(tmp_path.iterdir()) == [path]


TAUS = np.array([0.03, 0.1, np.nan, 0.3])
NONE = np.full(4, np.nan)


def test_rasters(tmp_path):
    stages = {"lif": spikes(), "fixed": spikes(), "lava": spikes(batch=2)}
    shown = {"Go": 1, "NoGo": 0}
    path = tmp_path / "raster.png"
    assert plot.rasters(path, stages, shown, DALE, stimulus=(0.02, 0.05)) == path
    is_a_picture(path, tmp_path)


def test_rasters_of_silence(tmp_path):
    path = plot.rasters(tmp_path / "a.png", {"lif": spikes(0)}, {"Go": 0}, DALE)
    is_a_picture(path, tmp_path)


def test_rasters_show_where_the_spikes_are(tmp_path):
    """More spikes, more ink; a neuron's sign decides its colour."""
    busy = plot.rasters(tmp_path / "a.png", {"x": spikes(0.2)}, {"Go": 0}, DALE)
    calm = plot.rasters(tmp_path / "b.png", {"x": spikes(0.01)}, {"Go": 0}, DALE)
    ink = [
        np.sum(matplotlib.image.imread(path)[..., :3].min(axis=2) < 0.9)
        for path in (busy, calm)
    ]
    assert ink[0] > 1.5 * ink[1]


@pytest.mark.parametrize("n_out", [1, 2])
def test_outputs(n_out, tmp_path):
    """Stages may differ in step and in number of trials."""
    answered = {
        "rate": trials(n_out),
        "fixed": trials(n_out, steps=100),
        "lava": trials(n_out, steps=100, batch=1),
    }
    stages = {
        name: (RNG.normal(size=t.targets.shape), t) for name, t in answered.items()
    }
    path = plot.outputs(
        tmp_path / "a.png", stages, names={0: "Go", 1: "NoGo"}, rule=(0.7, 0.3)
    )
    is_a_picture(path, tmp_path)


def test_outputs_without_names_or_rule(tmp_path, monkeypatch):
    stages = {"rate": (np.zeros((20, BATCH, 1)), trials())}
    words = words_of(monkeypatch, lambda: plot.outputs(tmp_path / "a.png", stages))
    assert {"condition 0", "condition 1", "target", "time (ms)"} <= set(words)
    assert "criterion" not in words
    is_a_picture(tmp_path / "a.png", tmp_path)


@pytest.mark.parametrize("tau", [TAUS, NONE, np.array([0.001, 2.0])])
def test_tau_histograms(tau, tmp_path):
    stages = {"rate": timescales(tau), "lif": timescales(TAUS)}
    path = plot.tau_histograms(tmp_path / "a.png", stages)
    is_a_picture(path, tmp_path)


@pytest.mark.parametrize("after", [TAUS * 1.2, NONE, TAUS[::-1] * 10])
def test_tau_against(after, tmp_path):
    path = plot.tau_against(
        tmp_path / "a.png", timescales(TAUS), timescales(after), ("lif", "fixed")
    )
    is_a_picture(path, tmp_path)


def words_of(monkeypatch, draw):
    """Return every text that a picture has, without writing it."""
    kept = []
    ink = matplotlib.figure.Figure.draw

    def keep(figure, renderer):
        ink(figure, renderer)
        kept.extend(t.get_text() for t in figure.findobj(matplotlib.text.Text))

    monkeypatch.setattr(matplotlib.figure.Figure, "draw", keep)
    draw()
    return [text for text in kept if text]


def test_tau_against_says_what_it_shows(tmp_path, monkeypatch):
    before, after = (
        timescales([0.1, 0.1, 0.1, np.nan]),
        timescales([0.11, 0.2, *NONE[:2]]),
    )
    words = words_of(
        monkeypatch,
        lambda: plot.tau_against(tmp_path / "a.png", before, after, ("lif", "fixed")),
    )
    assert (
        "2 of 4 neurons in both, 50% within ±25%\nonly lif: 1, only fixed: 0" in words
    )
    assert "τ lif (ms)" in words
    assert "no neuron has a timescale in both" not in words


def test_tau_against_says_when_it_shows_nothing(tmp_path, monkeypatch):
    before, after = timescales(TAUS), timescales(NONE)
    words = words_of(
        monkeypatch,
        lambda: plot.tau_against(tmp_path / "a.png", before, after, ("lif", "fixed")),
    )
    assert "no neuron has a timescale in both" in words
    assert "0 of 4 neurons in both\nonly lif: 3, only fixed: 0" in words


def test_tau_histograms_count(tmp_path, monkeypatch):
    stages = {"rate": timescales([0.1, 0.2, 2.0, np.nan]), "lif": timescales(NONE)}
    words = words_of(
        monkeypatch, lambda: plot.tau_histograms(tmp_path / "a.png", stages)
    )
    assert "rate: n = 3 of 4, median 200 ms, 1 outside" in words
    assert "lif: n = 0 of 4" in words
    assert "timescale τ (ms)" in words


def test_the_settings_of_others_are_left_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    plot.tau_histograms(tmp_path / "a.png", {"rate": timescales(TAUS)})
    assert dict(matplotlib.rcParams) == before


REFUSED = [
    (lambda p: plot.rasters(p, {}, {"Go": 0}, DALE), "stages: got none, need at least"),
    (lambda p: plot.rasters(p, {"x": spikes()}, {}, DALE), "trials: got none, need at"),
    (
        lambda p: plot.rasters(p, {"x": spikes()}, {"Go": 0}, [1, -1]),
        "dale for stage 'x': got shape (2,), need (10,)",
    ),
    (
        lambda p: plot.rasters(p, {"x": spikes()}, {"Go": 4}, DALE),
        "trials['Go']: got 4, need 0 to 3",
    ),
    (lambda p: plot.outputs(p, {}), "stages: got none, need at least"),
    (
        lambda p: plot.outputs(p, {"x": (np.zeros((20, 3, 1)), trials())}),
        "stages['x']: got shape (20, 3, 1), need (20, 4, 1)",
    ),
    (
        lambda p: plot.outputs(
            p, {k: (np.zeros((20, 4, k)), trials(k)) for k in (1, 2)}
        ),
        "stages[1]: got shape (20, 4, 1), need (20, 4, 2)",
    ),
    (lambda p: plot.tau_histograms(p, {}), "stages: got none, need at least one"),
    (
        lambda p: plot.tau_against(
            p, timescales(TAUS), timescales(TAUS[:2]), ("a", "b")
        ),
        "after: got 2 neurons, need 4 as before",
    ),
    (
        lambda p: plot.tau_against(
            p, timescales(TAUS), timescales(TAUS), ("a", "b"), band=1.5
        ),
        "band: got 1.5, need a fraction between 0 and 1",
    ),
]


@pytest.mark.parametrize(("draw", "text"), REFUSED)
def test_refusals(draw, text, tmp_path):
    with pytest.raises(ValueError, match=re.escape(text)):
        draw(tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_a_picture_is_written(tmp_path):
    path = tmp_path / "a.png"
    with plot.picture(path, 2, 2, size=(6, 3), heights=(1, 2)) as grid:
        assert grid.shape == (2, 2)
        grid[0, 0].plot([0, 5])
    low, high = (grid[k, 0].get_position().height for k in (0, 1))
    assert high > 1.5 * low
    assert grid[0, 1].get_ylim() == (0, 1)
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    size = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    assert size == (1200, 600)
    assert list(tmp_path.iterdir()) == [path]


def test_identified_stacks_statuses_to_a_hundred(axes):
    stages = {
        "rate": timescales([0.1] * 6 + [np.nan] * 2, Status.NOT_IDENTIFIABLE),
        "fixed$": timescales([0.1, np.nan, np.nan, np.nan], Status.NO_DECAY),
    }
    assert plot.identified(axes, stages) is axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["ok", "not identifiable", "no decay"]
    bars = {bar.get_label(): bar.patches for bar in axes.containers}
    widths = {name: [p.get_width() for p in bar] for name, bar in bars.items()}
    assert widths == {
        "ok": [75, 25],
        "not identifiable": [25, 0],
        "no decay": [0, 75],
    }
    assert [p.get_x() for p in bars["no decay"]] == [100, 25]
    numbers = [text.get_text() for text in axes.texts if text.get_text()]
    assert numbers == ["6", "1", "2", "3"]
    ticks = [tick.get_text() for tick in axes.get_yticklabels()]
    assert ticks == ["rate\nn = 8", "fixed\\$\nn = 4"]
    top, bottom = axes.transData.transform([(0, 0), (0, 1)])[:, 1]
    assert top > bottom
    assert axes.get_xlabel() == "share of neurons (%)"


def test_every_status_has_a_look_of_its_own():
    assert set(plot.LOOKS) == {status.value for status in Status}
    assert len(set(plot.LOOKS.values())) == len(plot.LOOKS)
