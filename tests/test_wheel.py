"""A wheel built from the repository works outside it."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def call(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_wheel_installs_and_runs_outside_the_repository(tmp_path):
    source = tmp_path / "source"
    kept = ("convert", "targets", "sim", "src")
    for folder in kept:
        shutil.copytree(
            ROOT / folder,
            source / folder,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel"]
    call(*build, "--outdir", tmp_path, cwd=source)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"isotau", f"isotau-{wheel.name.split('-')[1]}.dist-info"}
    for folder in ("convert", "targets", "sim"):
        for path in (ROOT / folder).rglob("*.py"):
            assert f"isotau/{path.relative_to(ROOT).as_posix()}" in names
    stubs = {"isotau/__init__.pyi", "isotau/sim/timescales/__init__.pyi"}
    assert {"isotau/py.typed", *stubs} <= set(names)
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    call(*pip, "--target", site, wheel, cwd=tmp_path)
    # -S and an explicit path keep the editable install out of sight
    outside = (
        f"import sys; sys.path[:0] = [{str(site)!r}]\n"
        "import isotau, isotau.cli\n"
        f"assert isotau.__file__.startswith({str(site)!r}), isotau.__file__\n"
        "import isotau.convert.records.rate as rate\n"
        f"assert rate.__file__.startswith({str(site)!r}), rate.__file__\n"
        "isotau.quantize, isotau.run_lava, isotau.kim\n"
        "sys.argv = ['isotau', '--version']\n"
        "isotau.cli.main()\n"
    )
    said = call(sys.executable, "-c", outside, cwd=tmp_path)
    assert said.startswith("isotau 0.")
