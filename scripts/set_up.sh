#!/bin/sh
# Makes the virtual environment $VENV with $PYTHON: isotau in place, its tools, Lava.
set -eu
python=${PYTHON:-python3}
venv=${VENV:-.venv}

"$python" - <<'CHECK' || exit 2
import sys
if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    found = ".".join(map(str, sys.version_info[:3]))
    sys.exit(f"isotau: got Python {found}, need 3.10 to 3.13; run make PYTHON=python3.11")
CHECK

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip="$venv/bin/python -m pip --disable-pip-version-check"
$pip install --quiet --constraint constraints.txt --editable '.[dev]'

# lava-nc 0.10.0 installs by itself on Python 3.10 alone. Newer ones run it as well, but
# its own list of requirements must not be read there; pyproject.toml has the true one.
if "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    $pip install --quiet --no-deps --ignore-requires-python lava-nc==0.10.0
fi

# So that the first `isotau run` on this machine need not wait for numba.
"$venv/bin/python" -m isotau.jobs.compile_kernels
