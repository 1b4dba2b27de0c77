"""The page, the table and the sentences of a report, from numbers made up here."""

import base64
import io
from html.parser import HTMLParser

import pytest
from rich.console import Console

from isotau.reports.preserve_page import page, spikes_in_words, voices
from isotau.reports.preserve_report import table

PNG = b"\x89PNG\r\n\x1a\nnot really"
VOID = {"meta", "img", "br"}


def said(verdict: str, shift: list, **more) -> dict:
    return {
        "method": "ml",
        "verdict": verdict,
        "reason": "shift",
        "scope": "networks like these 2",
        "n_networks": 2,
        "n_left_out": 1,
        "kept": 50,
        "lost": 4,
        "gained": 3,
        "neither": 13,
        "shift": shift,
        "scatter": [0.05, -0.1, 0.2],
        "loss": [0.02, None, None],
    } | more


def comparison(a: str, b: str, verdict: str, shift: list) -> dict:
    return {
        "a": a,
        "b": b,
        "verdict": verdict,
        "reason": f"ml says so; <shift> of {a} & {b}",
        "verdicts": {"ml": verdict, "curves": "preserved"},
        "primary": "ml",
        "by_method": {"ml": said(verdict, shift)},
        "curves": {"verdict": "preserved", "reason": "curve: autocorrelations differ"},
    }


def measured(median: float | None) -> dict:
    return {
        "n_timescales": 50,
        "n_neurons": 70,
        "tau_quartiles_s": None if median is None else [0.08, median, 0.2],
    }


def network(name: str) -> dict:
    return {
        "name": name,
        "accuracy": {"rate": 1.0, "lif": 0.975, "fixed": 0.95},
        "tau_syn_s": [0.02, 0.04, 0.06],
        "tau_syn_effective_s": [0.015, 0.033, 0.05],
        "timescales": {
            "rate": {"ml": measured(0.1)},
            "lif": {"ml": measured(0.11)},
            "fixed": {"ml": measured(None)},
        },
    }


STATES = {
    "a": "lif",
    "b": "fixed",
    "verdict": "shifted",
    "median_tau_s": [0.0412, 0.0433],
    "ratio": [1.05, 1.04, 1.06],
    "within": 198,
    "units": 200,
    "scatter": 0.03,
    "order": 0.99,
    "floor": {"scatter": None, "order": None},
    "sentence": "Timescales are <shifted>.",
}
LAVA = {
    "a": "fixed",
    "b": "lava",
    "verdict": "different",
    "sentence": "They differ & how.",
}
REPORT = {
    "id": "0123456789abcdef",
    "task": "go-nogo",
    "seeds": {"<b>&": 3},
    "comparisons": [
        comparison("rate", "lif", "preserved", [0.0, -0.1, 0.1]),
        comparison("lif", "fixed", "not preserved", [-0.6931471805599453, -0.8, -0.6]),
        comparison("rate", "fixed", "not identifiable", [None, None, None]),
    ],
    "states": {"<b>&": [STATES, LAVA], "plain": []},
    "networks": [network("<b>&"), network("plain")],
    "settings": {
        "trials": 200,
        "length": 2.0,
        "margins": {
            "shift_margin": 0.22314355131420976,
            "scatter_margin": 0.22314355131420976,
            "loss_margin": 0.1,
            "alpha": 0.05,
        },
        "observable": "state",
        "epoch": "rest",
        "state_margins": {"ratio": 0.1, "unit": 0.2, "share": 0.05},
    },
    "versions": {"isotau": "0.1.0"},
}


class Page(HTMLParser):
    """Checks that tags nest, and keeps what a browser would show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.shown: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.shown.append(data)


@pytest.fixture(scope="module")
def parsed() -> Page:
    pictures = [{f"caption {k} <&>": PNG} for k in range(3)]
    return Page(page(REPORT, pictures, ["all <numbers>"] * 3, {"<b>&": PNG}))


def test_the_page_is_well_formed_and_stands_alone(parsed):
    assert not parsed.open
    names = {tag for tag, _ in parsed.tags}
    assert not names & {"script", "link", "iframe", "b"}
    sources = [a["src"] for tag, a in parsed.tags if tag == "img"]
    assert len(sources) == 4
    for source in sources:
        start, data = source.split(",")
        assert start == "data:image/png;base64" and base64.b64decode(data) == PNG
    assert not any(key.startswith("on") for _, a in parsed.tags for key in a)
    assert not any("href" in a for _, a in parsed.tags)


def test_the_verdicts_come_first_with_what_decided(parsed):
    shown = parsed.shown
    first = shown.index("How to read this")
    for found in REPORT["comparisons"]:
        assert found["verdict"] in shown[:first]
        assert found["reason"] in shown[:first]
        assert f"{found['a']} → {found['b']}" in shown[:first]
    assert shown[:first].count("networks like these 2") == 3


def test_names_are_shown_letter_by_letter(parsed):
    # A row for each stage, and one of each comparison of states.
    assert parsed.shown.count("<b>&") == 5
    assert "all <numbers>" in parsed.shown and "caption 2 <&>" in parsed.shown
    assert '"<b>&": 3' in "".join(parsed.shown)


def test_time_constants_stand_side_by_side(parsed):
    shown = parsed.shown
    at = shown.index("rate") - 1
    row = ["<b>&", "rate", "1.000", "40 ms (20–60)", "100 ms (80–200)", "50 of 70"]
    assert shown[at : at + 6] == row
    assert shown[at + 6 : at + 12][2:4] == ["0.975", "40 ms (20–60)"]
    last = ["<b>&", "fixed", "0.950", "33 ms (15–50)", "none", "50 of 70"]
    assert shown[at + 12 : at + 18] == last


def test_margins_are_told_as_ratios(parsed):
    text = "".join(parsed.shown)
    assert "margin 0.80 to 1.25" in text and "90% intervals" in text
    assert "200 trials of 2 s" in text


@pytest.mark.parametrize(("count", "is_open"), [(4, True), (5, False)])
def test_the_table_of_many_networks_is_closed(count, is_open):
    report = REPORT | {"networks": [network(str(k)) for k in range(count)]}
    found = Page(page(report, [{}] * 3, [""] * 3, {}))
    opened = [a for tag, a in found.tags if tag == "details" and "open" in a]
    assert len(opened) == is_open
    assert f"{count} in all" in found.shown


def test_what_each_estimator_says():
    rows = voices(REPORT["comparisons"][1])
    assert rows[0][:5] == [
        "ml",
        "not preserved",
        "0.50 (0.45 to 0.55)",
        "0.05 (-0.10 to 0.20)",
        "0.02 (no interval)",
    ]
    assert rows[0][5:] == ["50 kept, 4 lost, 3 gained", "2 of 3"]
    assert rows[1] == ["curves", "preserved", "", "", "", "", ""]
    assert voices(REPORT["comparisons"][2])[0][2] == "none"


@pytest.mark.parametrize("named", [False, True], ids=["one", "two"])
def test_the_table_fits_a_terminal(named):
    long = STATES | {
        "verdict": "not identifiable",
        "median_tau_s": [1.234, 1.236],
        "within": 1000,
        "units": 1000,
    }
    states = {"a network": [STATES, long, LAVA]} | ({"b": [STATES]} if named else {})
    text = io.StringIO()
    Console(file=text, width=80).print(table(REPORT | {"states": states}))
    shown = text.getvalue()
    for words in (
        "lif → fixed",
        "identifiable",
        "1230 → 1240",
        "198 of 200",
    ):
        assert words in shown
    assert "…" not in shown and "lava" not in shown
    assert ("network" in shown) is named


def test_spikes_are_told_in_a_sentence():
    assert spikes_in_words(REPORT) == (
        "By spikes alone, as an experimenter counts them: rate → lif preserved, lif → "
        "fixed not preserved, rate → fixed not identifiable."
    )


def test_what_states_tell_comes_first():
    text = page(REPORT, [{}, {}, {}], ["", "", ""], {})
    assert text.index("What states tell") < text.index("What spikes can tell")
    shown = Page(text).shown
    for cell in ("1.050 (1.040 to 1.060)", "198 of 200", "Timescales are <shifted>."):
        assert cell in shown
