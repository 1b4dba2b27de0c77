"""A NIR file (HDF5) → `nir.NIRGraph`; the file is hostile until it is read.

Nothing is read before its type and size are known, no other file is opened, and nir's
own constructors, which broadcast, see only arrays that cannot grow. Texts are read
without the library: HDF5 keeps those of variable length in collections (global heaps),
chains of objects that each tell where the next one begins. Up to 2.0 the library
follows a damaged chain that stands still for ever, and believes a damaged length up to
4 GB. Format: HDF5 File Format Specification 3.0, sections III.E and IV.B.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import h5py
import nir
import numpy as np

from isotau.convert.ground.errors import UnreadableFile
from isotau.targets.nir_graph.graph import (
    MAX_DEPTH,
    MAX_OBJECTS,
    SPIKING,
    SUPPORTED,
    CannotImport,
    foreign,
    within,
)

SIGNATURE = b"GCOL\x01"
ELEMENT = struct.Struct("<IQI")
"""Of an array: length, address of the collection, number of the object in it."""
HEADER = struct.Struct("<5s3xQ")
OBJECT = struct.Struct("<HH4xQ")
ADDRESS_AND_LENGTH = (8, 8)
"""Their bytes in the files of every common HDF5 library."""
MAX_HEAP_OBJECTS = 1 << 18
"""Objects looked at in one file."""


class Texts:
    """The texts of one open file.

    Args:
        stream: the file.
        base: where HDF5's addresses begin in it, in bytes.
        max_bytes: of all collections together.
    """

    def __init__(self, stream: BinaryIO, base: int, max_bytes: int) -> None:
        """Read nothing yet."""
        self.stream, self.base, self.spare_bytes = stream, base, max_bytes
        self.objects = 0
        self.collections: dict[int, dict[int, bytes]] = {}

    def read(self, offset: int, count: int) -> list[str]:
        """Return `count` texts of the array whose data begin at byte `offset`.

        Raises:
            ValueError: the file does not hold them.
        """
        texts = []
        for k in range(count):
            place = offset + k * ELEMENT.size
            length, address, number = ELEMENT.unpack(self._bytes(place, ELEMENT.size))
            if length == 0:
                texts.append("")
                continue
            if address not in self.collections:
                self.collections[address] = self._collection(address)
            content = self.collections[address].get(number)
            if content is None or len(content) < length:
                raise ValueError(f"a text of {length} bytes is missing")
            texts.append(content[:length].decode())
        return texts

    def _bytes(self, place: int, size: int) -> bytes:
        """Return bytes of the file; fewer are an error."""
        self.stream.seek(place)
        content = self.stream.read(size)
        if len(content) < size:
            raise ValueError("a text lies beyond the end of the file")
        return content

    def _collection(self, address: int) -> dict[int, bytes]:
        """Return the objects of a collection by number."""
        place = self.base + address
        if place >= 1 << 62:  # which no file can be asked for
            raise ValueError("a text lies beyond the end of the file")
        signature, size = HEADER.unpack(self._bytes(place, HEADER.size))
        self.spare_bytes -= size
        if signature != SIGNATURE or self.spare_bytes < 0:
            raise ValueError(f"got no collection of texts at byte {place}")
        data = self._bytes(place, size)
        objects: dict[int, bytes] = {}
        at = HEADER.size
        while at + OBJECT.size <= size:
            self.objects += 1
            number, _, length = OBJECT.unpack_from(data, at)
            begin = at + OBJECT.size
            # Object 0 is what is free, its own head included.
            step = OBJECT.size + (length + 7) // 8 * 8 if number else length
            if step == 0 or self.objects > MAX_HEAP_OBJECTS:
                raise ValueError(f"the collection of texts at byte {place} has no end")
            if number:
                objects[number] = data[begin : begin + length]
            at += step
        return objects


MAX_BYTES = 256 << 20
"""Of all arrays of a file together, at 8 bytes a number or more."""
MAX_RATIO = 1100
"""Bytes of an array per stored byte; DEFLATE cannot compress more."""
MAX_TEXT = 64 << 20
"""Of all collections of texts together."""
MAX_ITEM = 1 << 16
"""Bytes of one element."""
TYPES = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM)
FILTERS = (
    *(h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE),
    *(h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF),
)
TOP = "(top)"
_DAMAGE = (
    *(OSError, ValueError, KeyError, IndexError, RuntimeError, TypeError),
    *(AttributeError, OverflowError, MemoryError, AssertionError, zlib.error),
)
Tree = dict[str, Any]


class NIRFile(NamedTuple):
    """What a file holds."""

    graph: nir.NIRGraph
    without_reset: tuple[str, ...]
    """Spiking nodes that store no v_reset: files of nir before 1.0.5."""


def read_file(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> NIRFile:
    """Return the graph of a NIR file; its edges and shapes are not yet checked.

    Raises:
        UnreadableFile: no such file, no NIR, damaged, linked to other files, or larger
            than `max_bytes`.
        CannotImport: nodes of types that are not supported; all are named.
    """
    if not os.path.isfile(path):
        raise UnreadableFile(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file, open(path, "rb") as stream:
            # `Texts` reads addresses itself, and knows these sizes alone.
            sizes = file.id.get_create_plist().get_sizes()
            if sizes != ADDRESS_AND_LENGTH:
                raise ValueError(f"its addresses and lengths have {sizes} bytes")
            texts = Texts(stream, file.userblock_size, MAX_TEXT)
            if "node" not in file:
                raise ValueError("it has no group 'node'")
            tree = _Reader(max_bytes, texts).group(_hard(file, "node"), "node", 0)
    except _DAMAGE as failure:
        raise UnreadableFile(f"{path}: no readable NIR file ({failure})") from failure
    try:
        nodes = dict(_walk(tree, ""))
        lacks = [
            foreign(place, node["type"])
            for place, node in nodes.items()
            if node["type"] not in SUPPORTED
        ]
        # Before any constructor of nir's sees what it may not know.
        if lacks:
            raise CannotImport(str(path), lacks)
        graph = _node(tree, "")
    except CannotImport:
        raise
    except _DAMAGE as failure:
        raise UnreadableFile(f"{path}: {failure}") from failure
    if not isinstance(graph, nir.NIRGraph):
        raise UnreadableFile(f"{path}: got a {tree['type']}, need a NIRGraph on top")
    silent = [
        place
        for place, node in nodes.items()
        if node["type"] in SPIKING and "v_reset" not in node
    ]
    return NIRFile(graph, tuple(silent))


class _Reader:
    """Reads groups and arrays of one file within its limits."""

    def __init__(self, max_bytes: int, texts: Texts) -> None:
        self.texts, self.max_bytes = texts, max_bytes
        self.spare_bytes, self.objects = max_bytes, 0

    def group(self, group: Any, place: str, depth: int) -> Tree:
        """Return a group's content as nested dicts, text as str."""
        if not isinstance(group, h5py.Group):
            raise ValueError(f"{place} is no group")
        if depth > MAX_DEPTH:
            raise ValueError(f"{place} lies more than {MAX_DEPTH} groups deep")
        content: Tree = {}
        # Counted over the whole file: groups may hold one another by hard links.
        for name in group:
            self.objects += 1
            if self.objects > MAX_OBJECTS:
                raise ValueError(f"it has more than {MAX_OBJECTS} groups and arrays")
            child, where = _hard(group, name), f"{place}/{name}"
            if isinstance(child, h5py.Group):
                content[name] = self.group(child, where, depth + 1)
            elif isinstance(child, h5py.Dataset):
                content[name] = self.array(child, where)
        return content

    def array(self, data: h5py.Dataset, place: str) -> Any:
        """Return an array, a number or a text after checking what it claims."""
        kind = data.id.get_type()
        # References and compounds may lead anywhere; an element may be gigabytes.
        if kind.get_class() not in TYPES or kind.get_size() > MAX_ITEM:
            raise ValueError(f"{place} holds neither numbers nor text")
        # Both would have other files opened.
        if data.external or data.is_virtual:
            raise ValueError(f"{place} keeps its data in another file")
        if data.shape is None:
            raise ValueError(f"{place} is empty")
        # All become float64 later. The product of a shape may leave 64 bits.
        item = max(8, kind.get_size())
        count = int(np.prod(data.shape, dtype=object))
        self.spare_bytes -= count * item
        if self.spare_bytes < 0:
            raise ValueError(
                f"arrays up to {place} claim {self.max_bytes - self.spare_bytes} "
                f"bytes, need at most {self.max_bytes}; give a larger max_bytes if you "
                "trust it"
            )
        stored, size = data.id.get_storage_size(), count * kind.get_size()
        ratio = 1 if data.chunks is None else MAX_RATIO
        if size > stored * ratio:
            raise ValueError(f"{place} claims {size} bytes and stores {stored}")
        if data.chunks is not None:
            self._check_chunks(data, place)
        if isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str():
            return self._text(data, place)
        value = data[()]
        return value.decode() if isinstance(value, bytes) else value

    def _text(self, data: h5py.Dataset, place: str) -> Any:
        """Return texts of variable length, one as str."""
        offset = data.id.get_offset()
        if offset is None:
            raise ValueError(f"{place} is text in pieces; write the file again by nir")
        texts = self.texts.read(offset, data.size)
        if not data.shape:
            return texts[0]
        return np.array(texts, dtype=object).reshape(data.shape)

    def _check_chunks(self, data: h5py.Dataset, place: str) -> None:
        """Refuse unusual filters, and chunks that inflate beyond their size."""
        plan = data.id.get_create_plist()
        filters = [plan.get_filter(k)[0] for k in range(plan.get_nfilters())]
        if any(number not in FILTERS for number in filters):
            raise ValueError(f"{place} is packed otherwise than by gzip or lzf")
        size = int(np.prod(data.chunks, dtype=object)) * data.id.get_type().get_size()
        if size > self.max_bytes:
            raise ValueError(f"{place} has chunks of {size} bytes")
        if h5py.h5z.FILTER_DEFLATE not in filters:
            return

        def inflate(chunk: Any) -> None:
            if chunk.size > self.max_bytes:
                raise ValueError(f"{place} has a chunk of {chunk.size} stored bytes")
            _, raw = data.id.read_direct_chunk(chunk.chunk_offset)
            # One byte more than allowed is enough to know.
            if len(zlib.decompressobj().decompress(raw, size + 1)) > size:
                raise ValueError(f"{place} has a chunk that inflates beyond its size")

        # Listed first: HDF5 is not to be called again from within the iteration.
        chunks: list[Any] = []
        data.id.chunk_iter(chunks.append)
        for chunk in chunks:
            if not chunk.filter_mask:  # else some filters were passed over
                inflate(chunk)


def _hard(group: Any, name: str) -> Any:
    """Return a member of a group that is no link elsewhere."""
    # Soft and external links would have other places and files opened.
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{group.name}/{name} is a link to somewhere else")
    return group[name]


def _walk(tree: Any, place: str) -> Iterator[tuple[str, Tree]]:
    """Yield every node with its place, graphs within graphs too."""
    if not isinstance(tree, dict):
        raise ValueError(f"node {place} is no group")
    if not isinstance(tree.get("type"), str):
        raise ValueError(f"node {place or TOP} has no type")
    yield place or TOP, tree
    if tree["type"] != "NIRGraph":
        return
    if not isinstance(tree.get("nodes"), dict):
        raise ValueError(f"node {place or TOP} is a graph without nodes")
    for name, child in tree["nodes"].items():
        yield from _walk(child, within(place, name))


def _node(tree: Tree, place: str) -> nir.NIRNode:
    """Return the nir node that a dict describes; what fails names the node."""
    where = place or TOP
    metadata = tree.get("metadata", {})
    if not isinstance(metadata, dict):
        raise ValueError(f"node {where}: metadata is no group")
    if tree["type"] == "NIRGraph":
        graph = _empty_graph()
        graph.nodes = {
            name: _node(child, within(place, name))
            for name, child in tree["nodes"].items()
        }
        graph.edges, graph.metadata = _edges(tree, where), metadata
        return graph
    # nir's constructor makes w_in as large as the neurons.
    if "w_in" in tree:
        _check_gain(tree, where)
    fields = dict(tree)
    later = {}
    if not hasattr(nir.LIF, "v_reset") and "v_reset" in fields:  # nir 1.0.4
        later["v_reset"] = fields.pop("v_reset")
    try:
        node = nir.dict2NIRNode(fields)
    except _DAMAGE as failure:
        reason = f"{type(failure).__name__}: {failure}"
        raise ValueError(f"node {where}: got a bad {tree['type']} ({reason})") from None
    for name, value in later.items():
        setattr(node, name, value)
    return node


def _empty_graph() -> nir.NIRGraph:
    """Return a graph without nodes, to be filled: nir's type check is not for us.

    It takes exponential time for graphs within graphs, and the flattened graph is
    checked instead.
    """
    return nir.NIRGraph(nodes={}, edges=[], metadata={})


def _edges(tree: Tree, where: str) -> list[tuple[str, str]]:
    edges = np.asarray(tree.get("edges", ()))
    if edges.size == 0:
        return []
    if edges.ndim != 2 or edges.shape[1] != 2:
        raise ValueError(
            f"node {where}: edges have shape {edges.shape}, need (edges, 2)"
        )
    try:
        return [(_text(a), _text(b)) for a, b in edges]
    except (UnicodeDecodeError, TypeError) as failure:
        raise ValueError(f"node {where}: edges are no text ({failure})") from failure


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, str):
        return value
    raise TypeError(f"{value!r}")


def _check_gain(tree: Tree, where: str) -> None:
    """Refuse a w_in that nir's constructor would blow up by broadcasting."""
    gain = np.shape(tree["w_in"])
    need = np.shape(np.asarray(tree.get("v_threshold", tree.get("v_leak"))))
    if gain not in ((), (1,), need):
        raise ValueError(
            f"node {where}: w_in has shape {gain}, need {need} or one number"
        )
