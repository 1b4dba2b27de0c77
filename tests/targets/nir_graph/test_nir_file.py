import os
import struct

import h5py
import nir
import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.targets.nir_graph.from_nir import from_nir
from isotau.targets.nir_graph.graph import CannotImport
from isotau.targets.nir_graph.nir_file import Texts, read_file

REFUSED = (UnreadableFile, CannotImport)
STRING = h5py.string_dtype()


@pytest.fixture
def file(tmp_path, make, chain, looped):
    """A recurrent network in a file, and its path."""
    m = make(2)
    graph = looped(
        chain(fc=m.affine(6, 3), lif=m.neurons(6, discrete=True, synapse=True)),
        "lif",
        m.affine(6, 6),
    )
    graph.metadata = {"dt": 1e-3, "reset": "zero"}
    path = tmp_path / "graph.nir"
    nir.write(path, graph)
    return path


def change(path, act):
    with h5py.File(path, "a") as stream:
        act(stream)


def test_a_graph_comes_as_nir_reads_it(file):
    held, want = read_file(file), nir.read(file)
    assert held.without_reset == ()
    assert held.graph.edges == want.edges
    assert held.graph.nodes.keys() == want.nodes.keys()
    for name, node in want.nodes.items():
        for field, value in vars(node).items():
            if isinstance(value, np.ndarray):
                got = getattr(held.graph.nodes[name], field)
                np.testing.assert_array_equal(got, value)
    assert held.graph.metadata == {"dt": 1e-3, "reset": "zero"}


@pytest.mark.parametrize("packing", ["lzf", 0, 9])
def test_other_packings_are_read(tmp_path, chain, cuba, packing):
    if "compression" not in nir.write.__code__.co_varnames:
        pytest.skip("this nir writes gzip alone")
    nir.write(tmp_path / "a.nir", chain(lif=cuba(50)), compression=packing)
    assert from_nir(tmp_path / "a.nir").net.n == 50


def test_what_is_no_file_or_no_hdf5(tmp_path):
    with pytest.raises(UnreadableFile, match=r"x\.nir: no such file"):
        from_nir(tmp_path / "x.nir")
    with pytest.raises(UnreadableFile, match="no such file"):
        from_nir(tmp_path)
    (tmp_path / "x.nir").write_bytes(b"not HDF5")
    with pytest.raises(UnreadableFile, match=r"x\.nir: no readable NIR file"):
        from_nir(tmp_path / "x.nir")
    with h5py.File(tmp_path / "y.nir", "w"):
        pass
    with pytest.raises(UnreadableFile, match="it has no group 'node'"):
        from_nir(tmp_path / "y.nir")


@pytest.mark.parametrize("seed", range(50))
def test_truncated_files_are_refused(file, seed):
    size = os.path.getsize(file)
    with open(file, "r+b") as stream:
        stream.truncate(int(np.random.default_rng(seed).integers(0, size)))
    with pytest.raises(REFUSED, match=r"graph\.nir"):
        from_nir(file)


@pytest.mark.parametrize("seed", range(50))
def test_flipped_bits_are_refused_or_harmless(file, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(file.read_bytes())
    for where in rng.integers(0, len(data), rng.integers(1, 40)):
        data[where] ^= 1 << rng.integers(0, 8)
    file.write_bytes(data)
    try:
        assert from_nir(file).net.n > 0
    except REFUSED as refused:
        assert "graph.nir" in str(refused)


def huge(shape, **given):
    def act(stream):
        del stream["node/nodes/fc/weight"]
        stream["node/nodes/fc"].create_dataset(
            "weight", shape, dtype="f4", chunks=(1, 1000), **given
        )

    return act


@pytest.mark.parametrize("given", [{}, {"compression": "gzip"}])
def test_huge_declared_sizes_are_refused(file, given):
    change(file, huge((1_000_000, 1_000_000), **given))
    with pytest.raises(UnreadableFile, match=r"fc/weight claim 80\d* bytes, need at"):
        from_nir(file)
    change(file, huge((1000, 1000), **given))
    with pytest.raises(UnreadableFile, match="claims 4000000 bytes and stores 0"):
        from_nir(file)


def test_a_size_limit_can_be_given(file):
    with pytest.raises(UnreadableFile, match="need at most 1000; give a larger max_by"):
        from_nir(file, max_bytes=1000)


def test_chunks_that_inflate_are_refused(file):
    def act(stream):
        del stream["node/nodes/fc/weight"]
        data = stream["node/nodes/fc"].create_dataset(
            "weight", (6, 3), dtype="f4", chunks=(6, 3), compression="gzip"
        )
        import zlib

        data.id.write_direct_chunk((0, 0), zlib.compress(bytes(1 << 20)))

    change(file, act)
    with pytest.raises(UnreadableFile, match="chunk that inflates beyond its size"):
        from_nir(file)


def test_huge_chunks_are_refused(file):
    def act(stream):
        del stream["node/nodes/fc/weight"]
        data = stream["node/nodes/fc"].create_dataset(
            "weight",
            (6, 3),
            dtype="f4",
            chunks=(1 << 14, 1 << 14),
            maxshape=(None, None),
            compression="gzip",
        )
        data.id.write_direct_chunk((0, 0), bytes(1000))

    change(file, act)
    with pytest.raises(UnreadableFile, match="fc/weight has chunks of"):
        from_nir(file)


def test_unusual_filters_are_refused(file):
    def act(stream):
        del stream["node/nodes/fc/weight"]
        stream["node/nodes/fc"].create_dataset(
            "weight", data=np.ones((6, 3), np.int32), scaleoffset=8
        )

    change(file, act)
    with pytest.raises(UnreadableFile, match="packed otherwise than by gzip or lzf"):
        from_nir(file)


def test_links_and_outside_data_are_refused(file, tmp_path):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as stream:
        stream["weight"] = np.ones((6, 3))
    links = {
        "external": h5py.ExternalLink(os.fspath(other), "weight"),
        "soft": h5py.SoftLink("/node/nodes/lif/tau_mem"),
    }
    plain = file.read_bytes()
    for link in links.values():
        file.write_bytes(plain)

        def act(stream, link=link):
            del stream["node/nodes/fc/weight"]
            stream["node/nodes/fc/weight"] = link

        change(file, act)
        with pytest.raises(UnreadableFile, match="fc/weight is a link to somewhere"):
            from_nir(file)

    def virtual(stream):
        del stream["node/nodes/fc/weight"]
        layout = h5py.VirtualLayout((6, 3), "f8")
        layout[:] = h5py.VirtualSource(os.fspath(other), "weight", (6, 3))
        stream["node/nodes/fc"].create_virtual_dataset("weight", layout)

    def outside(stream):
        del stream["node/nodes/fc/weight"]
        stream["node/nodes/fc"].create_dataset(
            "weight", (6, 3), "f8", external=[(os.fspath(tmp_path / "raw"), 0, 144)]
        )

    for act in (virtual, outside):
        file.write_bytes(plain)
        change(file, act)
        with pytest.raises(UnreadableFile, match="keeps its data in another file"):
            from_nir(file)


def test_groups_without_end_are_refused(file):
    def act(stream):
        stream["node/nodes/fc/again"] = stream["node"]

    change(file, act)
    with pytest.raises(UnreadableFile, match="groups deep"):
        from_nir(file)


def test_too_many_objects_are_refused(file, monkeypatch):
    monkeypatch.setattr("isotau.targets.nir_graph.nir_file.MAX_OBJECTS", 5)
    with pytest.raises(UnreadableFile, match="more than 5 groups and arrays"):
        from_nir(file)


def replaced(name, value):
    def act(stream):
        if name in stream:
            del stream[name]
        if value is not None:
            stream[name] = value

    return act


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("node", 1.0, "node is no group"),
        ("node/type", None, r"node \(top\) has no type"),
        ("node/nodes", None, r"node \(top\) is a graph without nodes"),
        ("node/nodes/fc", 1.0, "node fc is no group"),
        ("node/nodes/fc/type", None, "node fc has no type"),
        ("node/nodes/fc/weight", None, r"node fc: got a bad Affine \(TypeError"),
        ("node/nodes/fc/weight", h5py.Empty("f8"), "fc/weight is empty"),
        ("node/nodes/fc/more", 1.0, r"node fc: got a bad Affine \(TypeError"),
        ("node/nodes/fc/metadata", 1.0, "node fc: metadata is no group"),
        ("node/nodes/fc/weight", 1.0, r"node fc: got a bad Affine \("),
        ("node/nodes/fc/weight", np.ones((2, 6, 3)), "node fc: weight: got shape"),
        ("node/nodes/fc/weight", "text", r"node fc: got a bad Affine \("),
        ("node/nodes/fc/weight", np.ones((6, 2)), "edge input → fc: got 3 values, nee"),
        ("node/nodes/fc/bias", np.ones(5), "node fc: bias: got 5 values, need 6"),
        ("node/nodes/lif/tau_mem", np.ones(5), r"node lif: got a bad CubaLIF \(Ass"),
        ("node/nodes/lif/w_in", np.ones((6, 1)), r"node lif: w_in has shape \(6, 1\)"),
        ("node/nodes/lif/r", np.full(6, np.nan), "node lif: r: got NaN or infinity"),
        ("node/nodes/lif/tau_mem", np.zeros(6), "lif, neurons 0-5: tau_mem: got 0.0"),
        ("node/edges", np.ones(3), r"edges have shape \(3,\), need \(edges, 2\)"),
        ("node/edges", np.ones((3, 2)), "edges are no text"),
        ("node/nodes/fc/weight", np.ones(3, "c16"), "holds neither numbers nor text"),
        ("node/nodes/lif/v_reset", np.ones(6) * 9, "lif, neurons 0-5: got v_reset at"),
    ],
)
def test_wrong_contents_are_named(file, name, value, message):
    change(file, replaced(name, value))
    with pytest.raises(UnreadableFile, match=rf"graph\.nir: .*{message}"):
        from_nir(file)


def test_a_node_that_is_no_graph_is_refused(tmp_path, cuba):
    nir.write(tmp_path / "n.nir", cuba(3))
    with pytest.raises(UnreadableFile, match="got a CubaLIF, need a NIRGraph on top"):
        from_nir(tmp_path / "n.nir")


def test_numbers_of_edges_may_be_none(file):
    change(file, replaced("node/edges", np.zeros(0)))
    assert from_nir(file).net.w_in.sum() == 0


NAMES = ["one", "", "zwei·π", "a longer text than the others" * 9]


def written(path, **given):
    with h5py.File(path, "w", **given) as file:
        data = file.create_dataset("a", data=NAMES, dtype=h5py.string_dtype())
        return data.id.get_offset()


@pytest.mark.parametrize("given", [{}, {"userblock_size": 512}, {"libver": "latest"}])
def test_texts_are_those_that_h5py_wrote(tmp_path, given):
    offset = written(tmp_path / "t.h5", **given)
    with open(tmp_path / "t.h5", "rb") as stream:
        base = given.get("userblock_size", 0)
        assert Texts(stream, base, 1 << 20).read(offset, 4) == NAMES


def spoiled(path, change):
    """Return the error of reading the file after its bytes were changed."""
    offset = written(path)
    data = bytearray(path.read_bytes())
    heap = data.find(b"GCOL")
    change(data, offset, heap)
    path.write_bytes(data)
    with open(path, "rb") as stream, pytest.raises(ValueError) as caught:
        Texts(stream, 0, 1 << 20).read(offset, 4)
    return str(caught.value)


def test_damage_is_told(tmp_path):
    def put(kind, value):
        def change(data, offset, heap):
            places = {"length": (offset, "<I"), "address": (offset + 4, "<Q")}
            places |= {"number": (offset + 12, "<I"), "size": (heap + 8, "<Q")}
            where, code = places[kind]
            struct.pack_into(code, data, where, value)

        return change

    def still(data, offset, heap):
        data[heap + 16 : heap + 32] = bytes(16)

    def text(data, offset, heap):
        data[heap + 32] = 0xFF

    path = tmp_path / "t.h5"
    assert "text of 4294967295 bytes is missing" in spoiled(
        path, put("length", -1 % 2**32)
    )
    assert "got no collection of texts" in spoiled(path, put("address", 8))
    assert "beyond the end" in spoiled(path, put("address", 1 << 40))
    assert "beyond the end" in spoiled(path, put("address", (1 << 64) - 1))
    assert "text of 3 bytes is missing" in spoiled(path, put("number", 77))
    assert "got no collection" in spoiled(path, put("size", 1 << 50))
    assert "beyond the end" in spoiled(path, put("size", 1 << 16))
    assert "has no end" in spoiled(path, still)
    assert "codec can't decode" in spoiled(path, text)


def test_a_chain_of_too_many_objects_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("isotau.targets.nir_graph.nir_file.MAX_HEAP_OBJECTS", 2)
    offset = written(tmp_path / "t.h5")
    with open(tmp_path / "t.h5", "rb") as stream:
        with pytest.raises(ValueError, match="has no end"):
            Texts(stream, 0, 1 << 20).read(offset, 4)


def test_arrays_of_texts(tmp_path):
    with h5py.File(tmp_path / "t.h5", "w") as file:
        pairs = np.array([["a", "b"], ["c", "d"]], dtype=object)
        data = file.create_dataset("a", data=pairs, dtype=h5py.string_dtype())
        offset = data.id.get_offset()
    with open(tmp_path / "t.h5", "rb") as stream:
        assert Texts(stream, 0, 1 << 20).read(offset, 4) == ["a", "b", "c", "d"]
