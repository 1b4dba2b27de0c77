"""Records of options are single options on the command line."""

import inspect
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from isotau.cli import options

SHIPPED = Path(__file__).parents[3] / "examples/data/go_nogo_N200.mat"
BITS_ARE_ASKED_OF = ("run", "convert", "preserve", "quantize", "tune")


@dataclass(frozen=True, kw_only=True)
class Left:
    width: float = 0.5
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Right:
    name: str | None = None
    steps: int = 3


def test_records_are_spread_and_put_together_again():
    calls = []

    @options.spread
    def command(path: str, left: Left, right: Right, last: int = 1) -> None:
        """What it does."""
        calls.append((path, left, right, last))

    names = list(inspect.signature(command).parameters)
    assert names == ["path", "width", "name", "steps", "last"]
    assert command.__doc__ == "What it does."
    app = typer.Typer()
    app.command()(command)
    app(["here", "--name", "n", "--steps", "7"], standalone_mode=False)
    assert calls == [("here", Left(name="n"), Right(name="n", steps=7), 1)]


def test_milliseconds_reach_readers_as_seconds():
    assumed = options.AssumedOptions(dt_ms=5.0, alpha=0.2).for_reader()
    assert assumed["dt"] == pytest.approx(0.005) and assumed["alpha"] == 0.2
    assert assumed["tau"] is None
    assert options.NirReading(dt_ms=2.0).for_reader() == {"dt": pytest.approx(0.002)}


@pytest.mark.parametrize("verb", BITS_ARE_ASKED_OF)
def test_every_verb_that_quantizes_takes_bits(isotau, verb):
    status, text, _ = isotau(verb, "--help")
    assert status == 0 and re.search(
        r"--bits <int> +Bits of a weight on the chip", text
    )


def test_bits_reach_the_chip(isotau, low_rank_file, tmp_path):
    from isotau.convert.records import storage
    from isotau.convert.records.fixedpoint import FixedPointNetwork

    few = ("--trials", 4, "--search-trials", 6, "--task", "rdm", "--bits", 3)
    status, _, errors = isotau("convert", low_rank_file, *few, "--out", "low")
    assert status == 0, errors
    fixed = storage.load(tmp_path / "low/network.fixed.npz", FixedPointNetwork)
    assert {block.num_weight_bits for block in fixed.blocks} == {3}
    status, _, errors = isotau("run", low_rank_file, "--bits", 9, "--task", "rdm")
    assert status == 2 and "num_weight_bits: got 9" in errors


def test_synapses_are_trimmed_unless_told_not_to(isotau, tmp_path):
    few = ("--trials", 4, "--search-trials", 12, "--max-seconds", 0)
    trimmed = {}
    for word in ("--trim", "--no-trim"):
        status, _, errors = isotau("convert", SHIPPED, *few, word, "--out", word)
        assert status == 0, errors
        report = json.loads((tmp_path / word / "conversion.json").read_text())
        trimmed[word] = [c["trimmed"] for c in report["conversion"]["candidates"]]
    assert any(trimmed["--trim"]) and not any(trimmed["--no-trim"])
