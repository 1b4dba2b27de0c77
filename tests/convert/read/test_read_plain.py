import io
import zipfile

import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.read.read_plain import Arrays, read_arrays, read_plain
from isotau.convert.simulate.rate_dynamics import simulate_rate

N, N_IN, N_OUT = 9, 2, 3


def variables(**changed):
    """Return the least a plain file may hold; None leaves one out."""
    rng = np.random.default_rng(0)
    values = {
        "w_rec": rng.normal(size=(N, N)) / 3,
        "w_in": rng.normal(size=(N, N_IN)),
        "w_out": rng.normal(size=(N_OUT, N)),
        "activation": "tanh",
        "dt": 0.02,
        "tau": 0.1,
    }
    return {k: v for k, v in (values | changed).items() if v is not None}


def everything():
    rng = np.random.default_rng(1)
    m, n = rng.normal(size=(2, N, 2))
    return variables(
        w_rec=None,
        m_vectors=m,
        n_vectors=n,
        tau=np.linspace(0.05, 0.2, N),
        bias=rng.normal(size=N),
        b_out=rng.normal(size=N_OUT),
        x0=rng.normal(size=N),
        readout_bias=rng.normal(size=N),
        activation="softplus",
        ceiling=0.9,
        noise_std=0.1,
        x0_std=0.2,
    )


@pytest.fixture
def write(tmp_path):
    def write_(values):
        np.savez(tmp_path / "net.npz", **values)
        return tmp_path / "net.npz"

    return write_


def test_the_least_that_a_file_may_hold(write):
    file = variables()
    net, said = read_plain(write(file))
    for name in ("w_rec", "w_in", "w_out"):
        assert np.array_equal(getattr(net, name), file[name])
    assert (net.dt, net.noise_std, net.x0_std, net.ceiling) == (0.02, 0.0, 0.0, None)
    assert net.tau.tolist() == [0.1] * N and not net.dale.any()
    assert said.family == "plain .npz"
    assert said.find("noise") == ("noise", "0 per step", "default", "")
    assert said.find("alpha")[1:3] == ("0.2", "file")


def test_all_that_a_file_may_hold_gives_its_own_output(write):
    file = everything()
    net, said = read_plain(write(file))
    inputs = np.random.default_rng(2).normal(size=(60, 1, N_IN))
    phi = {"softplus": lambda x: np.minimum(np.log1p(np.exp(x)), 0.9)}["softplus"]
    w_rec = np.array(
        [[a @ b / N for b in file["n_vectors"]] for a in file["m_vectors"]]
    )
    x, rows = file["x0"], []
    for u in inputs[:, 0]:
        drive = w_rec @ phi(x) + file["w_in"] @ u + file["bias"]
        x = x + 0.02 / file["tau"] * (drive - x)
        rows.append(file["w_out"] @ phi(x + file["readout_bias"]) + file["b_out"])
    run = simulate_rate(net, inputs, seed=3, noise=False, x0=net.x0[None])
    assert run.outputs[:, 0] == pytest.approx(np.array(rows), abs=1e-12)
    assert (net.rank, net.noise_std, net.x0_std) == (2, 0.1, 0.2)
    assert said.find("tau").value == "0.05 to 0.2 s"


def test_dale_signs_are_read(write):
    signs = np.where(np.arange(N) < 6, 1, -1)
    w_rec = np.abs(variables()["w_rec"]) * signs
    net = read_plain(write(variables(w_rec=w_rec, dale=signs))).net
    assert net.dale.tolist() == signs.tolist()
    with pytest.raises(UnreadableFile, match=r"dale: got 1 for unit 6 whose outgoing"):
        read_plain(write(variables(w_rec=w_rec, dale=np.ones(N))))


def test_text_of_one_byte_a_character_and_arrays_of_one_number_are_read(write):
    net = read_plain(write(variables(activation=np.bytes_("relu"), dt=[[0.01]]))).net
    assert (net.activation, net.dt) == ("relu", 0.01)


def test_arguments_take_the_place_of_what_the_file_says(write):
    path = write(variables(noise_std=0.5))
    net, said = read_plain(path, dt=0.01, tau=0.05, noise_std=0.0, activation="relu")
    assert (net.dt, net.tau[0], net.noise_std, net.activation) == (
        *(0.01, 0.05, 0.0),
        "relu",
    )
    assert said.find("noise")[2:] == ("argument", "in place of the file's")
    assert said.find("alpha").source == "argument"
    absent = write(variables(dt=None, tau=None, activation=None))
    said = read_plain(absent, dt=0.01, tau=0.05, activation="relu").conventions
    assert said.find("dt") == ("dt", "0.01 s", "argument", "")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"w_rec": None}, r"w_rec: got nothing, need an array"),
        ({"w_in": None}, r"w_in: got nothing, need an array"),
        ({"dt": None}, r"dt: got nothing, need it in the file or as an argument"),
        ({"tau": None}, r"tau: got nothing, need it in the file"),
        ({"activation": None}, r"activation: got nothing, need it in the file"),
        ({"b_rec": np.ones(N)}, r"got b_rec, need only what makes this kind"),
        ({"w_rec": np.ones((N, 3))}, r"w_rec: got shape \(9, 3\), need 9 × 9 \(post"),
        ({"w_out": np.ones((N, 3))}, r"w_out: got shape \(9, 3\), need any × 9"),
        ({"w_in": np.full((N, 2), np.nan)}, r"w_in: got NaN or infinity, need finite"),
        ({"w_in": np.full((N, 2), "a")}, r"w_in: got dtype <U1, need real numbers"),
        ({"activation": 3.0}, r"activation: got float64 of shape \(\), need one text"),
        ({"activation": "step"}, r"activation: got 'step', need one of sigmoid"),
        ({"tau": np.ones(4)}, r"tau: got shape \(4,\), need 9 \(unit\)"),
        ({"tau": -1.0}, r"tau: got -1\.0 at \[0\], need numbers greater than 0"),
        ({"dt": [0.1, 0.2]}, r"dt: got shape \(2,\), need 1 \(one number\)"),
        ({"dt": 20.0}, r"dt: got 20, need at most tau, 0\.1 s"),
        ({"dale": np.full(N, 2)}, r"dale: got 2\.0 at \[0\], need -1 to 1"),
        ({"m_vectors": np.ones((N, 1))}, r"n_vectors: got nothing, need an array"),
        (
            {"m_vectors": np.ones((N, 1)), "n_vectors": np.ones((N, 1))},
            r"m_vectors: got factors whose product is .* off w_rec",
        ),
        (
            {"w_rec": None, "m_vectors": np.ones((N, 1)), "n_vectors": np.ones((N, 2))},
            r"n_vectors: got shape \(9, 2\), need 9 × 1",
        ),
    ],
)
def test_what_is_not_as_needed_is_named(write, changed, message):
    with pytest.raises(UnreadableFile, match=message) as caught:
        read_plain(write(variables(**changed)))
    assert "net.npz: " in str(caught.value)


def test_objects_are_named_and_not_unpickled(tmp_path, write):
    path = write(variables(bias=np.array([print], dtype=object)))
    with pytest.raises(UnreadableFile, match=r"bias: got an array of Python objects"):
        read_plain(path)
    assert "bias" not in read_arrays(path, skip_objects=("bias",))


def member(shape, *, data=b"", dtype="<f8"):
    """Return an array file that claims a shape."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    head = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            member((10**6, 10**6)),
            r"w_rec\.npy claims 8000000000000 bytes and holds 0",
        ),
        (member((400,), data=bytes(8)), r"w_rec\.npy claims 3200 bytes and holds 8"),
        (member((-3,), data=bytes(8)), r"not a readable \.npz file"),
        (b"\x93NUMPY", r"not a readable \.npz file"),
        (b"", r"not a readable \.npz file"),
    ],
)
def test_arrays_that_only_claim_to_be_there_are_refused(tmp_path, content, message):
    with zipfile.ZipFile(tmp_path / "net.npz", "w") as archive:
        archive.writestr("w_rec.npy", content)
    with pytest.raises(UnreadableFile, match=message):
        read_arrays(tmp_path / "net.npz")


def test_sizes_are_counted_together(write, monkeypatch):
    monkeypatch.setattr("isotau.convert.read.read_plain.MAX_BYTES", 700)
    with pytest.raises(
        UnreadableFile, match=r"got arrays of \d+ bytes or more, .* 700"
    ):
        read_arrays(write(variables()))


def test_absent_and_other_files_are_refused(tmp_path):
    with pytest.raises(UnreadableFile, match=r"none\.npz: no such file"):
        read_arrays(tmp_path / "none.npz")
    (tmp_path / "net.npz").write_bytes(b"hello")
    with pytest.raises(UnreadableFile, match=r"not a readable \.npz file"):
        read_arrays(tmp_path / "net.npz")


def test_damaged_files_are_read_or_refused_and_nothing_else(tmp_path):
    stream, rng = io.BytesIO(), np.random.default_rng(5)
    np.savez_compressed(stream, **everything())
    whole, path, refused = stream.getvalue(), tmp_path / "net.npz", 0
    for k in range(200):
        damaged = bytearray(whole)
        for at in rng.integers(len(damaged), size=3):
            damaged[at] = rng.integers(256)
        if k % 10 == 0:
            del damaged[rng.integers(len(damaged)) :]
        path.write_bytes(damaged)
        try:
            read_plain(path)
        except UnreadableFile:
            refused += 1
    assert refused > 100


def test_arrays_remember_what_was_used():
    at = Arrays("a file", {"a": np.ones(2), "b.c": np.ones(1)}, ["d"])
    assert at.take("a", (2,), "x").tolist() == [1.0, 1.0]
    assert at.unused(ignore=("b",)) == ("d", "b.c")
    assert at.unused(known=("b.c",)) == ("d", "b.c")
    with pytest.raises(UnreadableFile, match=r"a file: ignore: got e, need names that"):
        at.unused(ignore=("e",))


def test_noise_that_units_share_is_read(write):
    loadings = np.random.default_rng(3).normal(size=(N, 2))
    net, said = read_plain(write(variables(shared_noise=loadings)))
    np.testing.assert_array_equal(net.shared_noise, loadings)
    assert "2 sources that units share" in said.find("noise").value
    with pytest.raises(UnreadableFile, match="shared_noise"):
        read_plain(write(variables(shared_noise=loadings[1:])))
