"""Comparisons on disk: a round trip, and files that are not what they seem."""

import json
import math
import re

import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.sim.preservation import (
    Estimate,
    PreservationConfig,
    Verdict,
    compare_spikes,
    lines,
    read_json,
    write_json,
)
from isotau.sim.preservation.files import plain

CONFIG = PreservationConfig(draws=100)


@pytest.fixture
def found(make_pairs):
    pairs = make_pairs(0, 2, 40, excitatory=np.arange(40) < 30)
    return compare_spikes(pairs, CONFIG, rng=np.random.default_rng(0))


@pytest.fixture
def written(found, tmp_path):
    path = write_json(found, tmp_path / "deep" / "preservation.json")
    return path, json.loads(path.read_text())


def test_round_trip(found, written):
    path, content = written
    back = read_json(path)
    assert plain(back) == plain(found)
    assert lines(back) == lines(found)
    assert content["verdict"] == found.verdict.value
    assert content["reason"] == found.reason


@pytest.mark.parametrize(("networks", "n", "lost"), [(1, 40, 1.1), (2, 5, 0.0)])
def test_round_trip_with_gaps(make_pairs, tmp_path, networks, n, lost):
    pairs = make_pairs(0, networks, n, lost=lost)
    found = compare_spikes(pairs, CONFIG, rng=np.random.default_rng(0))
    back = read_json(write_json(found, tmp_path / "gaps.json"))
    assert lines(back) == lines(found)
    assert back.verdict is found.verdict


def test_plain_data():
    estimate = Estimate(value=math.nan, low=-math.inf, high=math.inf)
    expected = {"value": None, "low": "-inf", "high": "inf"}
    assert plain({"x": (estimate, Verdict.PRESERVED)}) == {"x": [expected, "preserved"]}
    assert plain(np.array([1.0, math.nan])) == [1.0, None]


def test_infinite_ends_come_back(written):
    path, content = written
    content["comparison"]["numbers"]["spearman"]["high"] = "inf"
    path.write_text(json.dumps(content))
    assert read_json(path).numbers["spearman"].high == math.inf


def changed(content, keys, value):
    part = content
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value


C = "comparison"


@pytest.mark.parametrize(
    ("keys", "value", "text"),
    [
        (["isotau"], "Spikes", "got Spikes of format 1, need Preservation of format 1"),
        (["format"], 9, "got Preservation of format 9, need Preservation of format 1"),
        (["verdict"], "odd", "the comparison is damaged (verdict: got 'odd', need"),
        ([C], 3, "the comparison is damaged (Preservation: got 3, need its fields"),
        ([C], {}, "Preservation: got odd or missing fields attrition, attrition_a"),
        ([C, "odd"], 1, "Preservation: got odd or missing fields odd"),
        ([C, "endpoints"], [], "endpoints: got (), need ('shift', 'scatter', 'loss')"),
        ([C, "endpoints", 0, "margin"], -1, "margin: got -1.0, need numbers greater"),
        ([C, "endpoints", 0, "margin"], "1", "margin: got str that is no array"),
        ([C, "endpoints"], 7, "the comparison is damaged"),
        ([C, "numbers", "spearman"], 1.0, "Estimate: got 1.0, need its fields by name"),
        ([C, "numbers", "spearman", "low"], "nan", "the comparison is damaged ('nan')"),
        ([C, "numbers", "spearman", "low"], 9.0, "low: got 9.0, need at most high"),
        ([C, "numbers"], [1], "the comparison is damaged"),
        ([C, "attrition", "both"], 0.5, "both: got dtype float64, need whole numbers"),
        ([C, "attrition", "lost"], {"odd": 1}, "lost: got 'odd', need one of ok"),
        ([C, "distances", "kolmogorov"], -1, "kolmogorov: got -1.0, need numbers of"),
        ([C, "config", "alpha"], None, "the comparison is damaged"),
        ([C, "config", "draws"], 1, "draws: got 1, need 100 to"),
        ([C, "by_network", 0, "loss"], "x", "value: got 'x', need a number or NaN"),
        ([C, "left_out"], [["a"]], "the comparison is damaged"),
    ],
)
def test_damaged_comparisons(written, keys, value, text):
    path, content = written
    changed(content, keys, value)
    path.write_text(json.dumps(content))
    with pytest.raises(UnreadableFile, match=re.escape(text)):
        read_json(path)


def test_a_verdict_that_its_endpoints_contradict(written):
    path, content = written
    for endpoint in content[C]["endpoints"]:
        endpoint["estimate"] = {"value": 9.0, "low": 8.0, "high": 10.0}
    content["verdict"] = "preserved"
    path.write_text(json.dumps(content))
    with pytest.raises(UnreadableFile, match="need 'not preserved' by its endpoints"):
        read_json(path)


@pytest.mark.parametrize("text", ["", "[1", "\0", "[" * 100_000])
def test_no_json(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UnreadableFile, match=r"x\.json: not a readable \.json file"):
        read_json(path)


def test_other_files(tmp_path, monkeypatch):
    with pytest.raises(UnreadableFile, match=r"none\.json: not a readable \.json file"):
        read_json(tmp_path / "none.json")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(
        UnreadableFile, match="got no Preservation, need what write_json"
    ):
        read_json(tmp_path / "list.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UnreadableFile, match="not a readable"):
        read_json(tmp_path / "bytes.json")
    monkeypatch.setattr("isotau.sim.preservation.files.MAX_BYTES", 2)
    with pytest.raises(UnreadableFile, match="got 3 bytes, need at most 2 of a comp"):
        read_json(tmp_path / "list.json")
