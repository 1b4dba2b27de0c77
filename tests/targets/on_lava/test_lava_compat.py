import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def python(script, **environment):
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **environment,
    )


@pytest.mark.lava
def test_lava_imports_and_nothing_stays_changed():
    """In a process of its own, as Lava sets how Python starts processes."""
    ended = python(
        "import dataclasses\n"
        "before = dataclasses.dataclass\n"
        "from isotau.targets.on_lava.lava_compat import load\n"
        "assert load('lava.proc.lif.process').LIF.__name__ == 'LIF'\n"
        "assert dataclasses.dataclass is before\n"
        "encoder = load('lava.magma.compiler.var_model').ByteEncoder\n"
        "assert encoder.__hash__ is None\n"
        "assert encoder() == encoder()\n"
    )
    assert ended.returncode == 0, ended.stderr


def test_without_lava_the_error_says_what_to_do():
    ended = python(
        "import sys\n"
        "sys.modules['lava'] = None\n"
        "from isotau.targets.on_lava.lava_compat import LavaMissing, load\n"
        "try:\n"
        "    load('lava.proc.lif.process')\n"
        "except LavaMissing as error:\n"
        "    sys.exit(str(error))\n"
    )
    assert re.match(r"Lava: got .*, need lava-nc 0\.10\.0; run `make`", ended.stderr)
    assert "pip install --no-deps --ignore-requires-python" in ended.stderr


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Lava is imported as it is")
def test_the_settings_of_dataclass_pass_through(tmp_path):
    """In a stand-in for Lava's module, which is refused without help."""
    folder = tmp_path / "lava/magma/compiler"
    folder.mkdir(parents=True)
    (folder / "var_model.py").write_text(
        "import dataclasses\n"
        "@dataclasses.dataclass\n"
        "class ByteEncoder:\n"
        "    x: int = 1\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class A:\n"
        "    encoder: ByteEncoder = ByteEncoder()\n"
        "@dataclasses.dataclass\n"
        "class B:\n"
        "    x: int = 1\n"
    )
    ended = python(
        "from isotau.targets.on_lava.lava_compat import load\n"
        "lava = load('lava.magma.compiler.var_model')\n"
        "assert lava.B.__hash__ is None and lava.ByteEncoder.__hash__ is None\n"
        "try:\n"
        "    lava.A().encoder = 3\n"
        "except AttributeError:\n"
        "    print('frozen')\n",
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert ended.stdout == "frozen\n", ended.stderr


def test_nothing_else_imports_lava():
    """Except what runs after it, and the script that does without isotau."""
    folders = ("lava_lif", "lava_script")
    rooms = [ROOT / room for room in ("convert", "targets", "sim", "src", "examples")]
    found = [
        str(path)
        for room in rooms
        for path in room.rglob("*.py")
        if path.parent.name not in folders
        and re.search(r"^\s*(import|from) lava\b", path.read_text(), re.MULTILINE)
    ]
    assert found == []
