import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.plugins import BrokenPlugin
from isotau.convert.read.kinds import (
    GROUP,
    READERS,
    Content,
    FileReader,
    find_reader,
    read_file,
)
from isotau.convert.read.read_rate import read_rate
from isotau.sim.recorded.read_spike_times import READERS as OF_RECORDINGS

DOCS = Path(__file__).resolve().parents[3] / "docs/formats.md"
PACKAGE = """
from isotau.convert.read.kinds import FileReader
from isotau.convert.read.read_plain import read_plain

def read(path, *, dt=None):
    return read_plain(path.with_suffix(".npz"), dt=dt)

def sniff(content):
    return content.head.startswith(b"LAB")

def faulty(content):
    raise LookupError("no table")

READER = FileReader("lab file", ".lab", sniff, "lab_reader:read")
MATLAB = FileReader("lab .mat", ".mat", lambda content: b"lab" in content.head, read)
FAULTY = FileReader("faulty", ".lab", faulty, read)
"""


@pytest.fixture
def offer(install):
    """Return a function that puts a package with some of the readers on the path."""

    def write(*names):
        entries = {name.lower(): f"lab_reader:{name}" for name in names}
        install("lab_reader", PACKAGE, GROUP, **entries)

    return write


@pytest.fixture
def arrays(tmp_path):
    """A plain network that the package's reader reads in place of `net.lab`."""
    rng = np.random.default_rng(0)
    weights = {"w_rec": (3, 3), "w_in": (3, 1), "w_out": (1, 3)}
    fields = {name: rng.normal(size=shape) for name, shape in weights.items()}
    np.savez(tmp_path / "net.npz", **fields, tau=0.1, activation="tanh")
    return fields


def test_the_page_lists_every_reader():
    """One row of docs/formats.md for each, in the order in which they are asked."""
    rows = re.findall(r"^\| ([^|`]+) \| `(\.[\w.]+)` \|", DOCS.read_text(), re.M)
    assert rows == [(reader.name, reader.suffix) for reader in READERS]


def test_the_page_names_every_assumption():
    text = DOCS.read_text()
    paragraph = text[text.index("Arguments of `read_rate`") :].split("\n\n")[0]
    names = {name for reader in READERS for name in reader.assumptions()}
    assert names == set(re.findall(r"`([a-z_]+)`", paragraph)) - {"read_rate"}


@pytest.mark.parametrize("reader", (*READERS, *OF_RECORDINGS), ids=FileReader.describe)
def test_every_row_names_a_function(reader):
    assert callable(reader.resolve())
    assert len(set(reader.assumptions())) == len(reader.assumptions())


@pytest.mark.parametrize(
    ("name", "assumptions"),
    [
        ("isotau .rate.npz", ""),
        ("plain .npz", "dt tau noise_std activation"),
        ("PsychRNN .npz", "alpha dt tau noise_std activation ignore rec_noise"),
        ("spikeRNN .mat", "dt noise_std"),
        ("torch.nn.RNN", "alpha dt tau noise_std activation ignore readout"),
        ("low-rank", "alpha dt tau noise_std activation ignore scaled"),
        ("ONNX", "alpha dt tau noise_std"),
        ("isotau .onnx", ""),
    ],
)
def test_what_may_be_assumed_of_each_kind(name, assumptions):
    reader = next(reader for reader in READERS if reader.name == name)
    assert reader.assumptions() == tuple(assumptions.split())


def test_the_error_lists_the_table(tmp_path):
    (tmp_path / "a").write_bytes(b"hello")
    with pytest.raises(UnreadableFile) as error:
        find_reader(tmp_path / "a")
    for reader in READERS:
        assert reader.name in str(error.value) and reader.suffix in str(error.value)
    assert "PsychRNN .npz (W_rec), torch.nn.RNN .pt" in str(error.value)


def test_content_is_looked_into_only_when_asked(tmp_path):
    content = Content(tmp_path / "none")
    assert not content.is_hdf5 and not content.attributes
    with pytest.raises(UnreadableFile, match="none: no such file"):
        _ = content.head
    torch.save({"w": torch.zeros(1), "v": torch.zeros(1)}, tmp_path / "a")
    content = Content(tmp_path / "a")
    assert content.is_torch and content.parameters == {"w", "v"}


def test_a_reader_of_another_package_is_asked(tmp_path, offer, arrays):
    offer("READER")
    (tmp_path / "net.lab").write_bytes(b"LAB 1")
    assert find_reader(tmp_path / "net.lab").name == "lab file"
    net, _ = read_rate(tmp_path / "net.lab", dt=0.02)
    assert (net.w_rec == arrays["w_rec"]).all()
    with pytest.raises(ValueError, match="got alpha, need lab file files read with dt"):
        read_rate(tmp_path / "net.lab", alpha=0.1)
    (tmp_path / "a").write_bytes(b"hello")
    with pytest.raises(UnreadableFile, match=r"ONNX, lab file$"):
        read_rate(tmp_path / "a")


def test_it_is_asked_before_those_that_take_every_file_of_a_format(tmp_path, offer):
    offer("MATLAB")
    head = b"MATLAB 5 of the lab".ljust(124) + b"\x00\x01IM"
    (tmp_path / "net.mat").write_bytes(head)
    assert find_reader(tmp_path / "net.mat").name == "lab .mat"
    (tmp_path / "net.mat").write_bytes(head.replace(b"lab", b"bal"))
    assert find_reader(tmp_path / "net.mat").name == "spikeRNN .mat"


def test_it_is_not_loaded_for_files_that_isotau_knows(tmp_path, offer, arrays):
    offer("READER")
    read_file(tmp_path / "net.npz", dt=0.02)
    assert "lab_reader" not in sys.modules


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("FAULTY", "isotau.readers faulty of lab-reader: LookupError: no table"),
        ("PACKAGE", "isotau.readers package of lab-reader: AttributeError: module"),
    ],
)
def test_a_broken_reader_is_a_warning(tmp_path, offer, arrays, name, message):
    offer(name, "READER")
    (tmp_path / "net.lab").write_bytes(b"LAB 1")
    with pytest.warns(BrokenPlugin, match=message):
        assert find_reader(tmp_path / "net.lab").name == "lab file"


def test_what_a_reader_refuses_it_refuses(tmp_path, offer):
    def refuse(content):
        raise UnreadableFile(f"{content.path}: got an older lab file, need a new one")

    rows = (FileReader("lab", ".lab", refuse, "lab_reader:read"),)
    (tmp_path / "a").write_bytes(b"LAB 0")
    with pytest.raises(UnreadableFile, match="got an older lab file"):
        find_reader(tmp_path / "a", rows)
