"""`import isotau` is quick, and every public name is there."""

import subprocess
import sys

import pytest

import isotau
from isotau.convert.to_lif.convert_rate import convert


def test_every_name_that_loads_later_is_there():
    for name in isotau._LATER:
        assert callable(getattr(isotau, name)), name


def test_the_conversion_is_not_hidden_by_the_folder_of_its_name():
    assert isotau.convert_rate is convert


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="module 'isotau' has no attribute 'rnn'"):
        isotau.rnn  # noqa: B018


def test_heavy_libraries_wait():
    command = "import sys, isotau; print(sorted({'torch', 'scipy'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
