"""Files of torch that claim more than they hold; the readers' tests have the rest."""

import io
import zipfile

import numpy as np
import pytest
import torch

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.read import read_torch_rnn as module
from isotau.convert.read.read_torch_rnn import read_state

STATE = {"w": torch.arange(24.0).reshape(4, 6), "b": torch.arange(5)}


def write(path, state, *, legacy=False):
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_come_as_arrays(legacy, tmp_path):
    found = read_state(write(tmp_path / "a.pt", STATE, legacy=legacy)).values
    assert found["w"].dtype == np.float64 and found["b"].dtype == np.int64
    for name, tensor in STATE.items():
        np.testing.assert_array_equal(found[name], tensor.numpy())


def test_a_zip_may_not_be_compressed(tmp_path):
    """torch never does, and zeros would unpack to a thousand times the file."""
    whole = write(tmp_path / "a.pt", {"w": torch.zeros(10**6)}).read_bytes()
    with (
        zipfile.ZipFile(io.BytesIO(whole)) as archive,
        zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    with pytest.raises(UnreadableFile, match=r"its members claim \d+ bytes of"):
        read_state(tmp_path / "a.pt")


def test_an_older_file_may_not_claim_more_than_its_bytes(tmp_path):
    path = write(tmp_path / "a.pt", STATE, legacy=True)
    whole, number = path.read_bytes(), b"K\x18"  # 24 elements
    assert whole.count(number) == 1
    path.write_bytes(whole.replace(number, b"J\xff\xff\xff\x7f"))
    with pytest.raises(UnreadableFile, match="it claims 2147483647 of something in"):
        read_state(path)


def test_all_tensors_together_have_a_limit(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "MAX_ELEMENTS", 28)
    path = write(tmp_path / "a.pt", STATE)
    with pytest.raises(UnreadableFile, match=r"b: got shape \(5,\), need at most 28"):
        read_state(path)


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize("legacy", [False, True])
def test_conjugates_and_what_has_no_array(legacy, tmp_path):
    twice = torch.complex(STATE["w"], STATE["w"])
    path = write(tmp_path / "a.pt", {"w": twice.conj()}, legacy=legacy)
    np.testing.assert_array_equal(read_state(path).values["w"].imag, -STATE["w"])
    with pytest.raises(UnreadableFile, match="state dict: w: "):
        read_state({"w": torch.zeros(3, dtype=torch.complex32)})


@pytest.mark.parametrize("legacy", [False, True])
def test_what_torch_says_of_itself_is_not_passed_on(legacy, tmp_path):
    """Its warnings of other pickle protocols, and of its own older classes."""
    path = write(tmp_path / "a.pt", STATE, legacy=legacy)
    whole = bytearray(path.read_bytes())
    # Older files begin with a mark of 14 bytes that has to stay.
    place = whole.index(b"\x80\x02M" if legacy else b"\x80\x02}", 14)
    whole[place + 1] = 3
    path.write_bytes(whole)
    assert read_state(path).values["b"].tolist() == [0, 1, 2, 3, 4]
