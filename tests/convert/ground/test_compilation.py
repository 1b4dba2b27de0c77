"""Compiled code on disk is used again, unless a source of it has changed or gone."""

import importlib
import subprocess
import sys

import pytest

from isotau.convert.ground import compilation

KERNELS = "isotau.sim.engines.compiled_kernels"
PROGRAM = """
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from numba.core import event

def load(name, path):
    spec = spec_from_loader(name, SourceFileLoader(name, path))
    sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]

folder, argument = sys.argv[1:]
load("isotau.part", folder + "/part.py")
whole = load("isotau.whole", folder + "/whole.py")
compiled = []
class Listener(event.Listener):
    def on_start(self, started):
        compiled.append(started.data["dispatcher"].__name__)
    def on_end(self, ended):
        pass
event.register("numba:compile", Listener())
print(whole.twice(getattr(whole, argument)(2.5)), compiled)
"""
PART = """
from isotau.convert.ground.compilation import njit
FACTOR = {factor}
@njit(inline="always")
def times(x):
    return FACTOR * x
"""
WHOLE = """
from typing import NamedTuple
from isotau.part import times
from isotau.convert.ground.compilation import njit
{classes}
@njit(cache=True)
def twice(number):
    return times(number.value)
"""
CLASS = """
class {}(NamedTuple):
    value: float
"""


@pytest.fixture
def run(tmp_path):
    """Return what runs a function of two files, and says what it gave and compiled."""

    def process(factor, argument, classes):
        text = "".join(CLASS.format(name) for name in classes)
        (tmp_path / "part.py").write_text(PART.format(factor=factor))
        (tmp_path / "whole.py").write_text(WHOLE.format(classes=text))
        command = [sys.executable, "-B", "-c", PROGRAM, str(tmp_path), argument]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.split(maxsplit=1)

    return process


@pytest.mark.slow
def test_what_is_inlined_from_another_file_is_a_source(run):
    assert run(2, "One", ["One"]) == ["5.0", "['twice']\n"]
    assert run(2, "One", ["One"]) == ["5.0", "[]\n"]
    assert run(3, "One", ["One"]) == ["7.5", "['twice']\n"]


@pytest.mark.slow
def test_an_index_of_a_class_that_is_gone_is_out_of_date(run, tmp_path):
    run(2, "One", ["One"])
    (index,) = tmp_path.glob("__pycache__/*.nbi")
    assert b"One" in index.read_bytes()
    assert run(2, "Two", ["Two"]) == ["5.0", "['twice']\n"]
    assert run(2, "Two", ["Two"]) == ["5.0", "[]\n"]


def test_sources_are_modules_not_packages():
    importlib.import_module(KERNELS)
    names = compilation.sources(KERNELS)
    assert {
        KERNELS,
        "isotau.sim.engines.sparse_kernels",
        "isotau.convert.chip.vector_step",
        "isotau.convert.chip.arithmetic",
    } <= names
    # its packages know of this one, which it does not use
    importlib.import_module("isotau.convert.chip.torch_step")
    assert "isotau.convert.chip.torch_step" not in compilation.sources(KERNELS)
    assert not {"isotau.convert.chip", "isotau.sim.engines"} & names
    assert compilation.digest(KERNELS) == compilation.digest(KERNELS)
    assert compilation.digest(KERNELS) != compilation.digest(
        "isotau.convert.chip.lanes"
    )
