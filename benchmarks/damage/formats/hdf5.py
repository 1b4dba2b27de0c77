"""Damages of HDF5 files: MATLAB 7.3, NWB and NIR."""

import io
import zlib
from collections.abc import Callable

import h5py
import numpy as np

from benchmarks.damage.formats.any_bytes import Damage, Rng, with_bad_value

FORBIDDEN_FILTER = 32015
"""Zstandard, which HDF5 has to load from elsewhere."""


def edit(change: Callable[[Rng, h5py.File, str], None]) -> Callable[..., bytes]:
    """Return the damage that changes a file at one of its arrays."""

    def damage(rng: Rng, whole: bytes) -> bytes:
        # A user block stands before the file, which h5py keeps but does not write.
        stream = io.BytesIO(whole)
        names: list[str] = []
        with h5py.File(stream, "r+") as file:
            collect(file, names)
            change(rng, file, names[rng.integers(len(names))])
        return stream.getvalue()

    return damage


def collect(file: h5py.File, names: list[str]) -> None:
    """Note the names of all arrays outside NWB's specifications."""

    def note(name: str, entry: h5py.Group | h5py.Dataset) -> None:
        # Half of an NWB file are its specifications, which no reader here looks at.
        if isinstance(entry, h5py.Dataset) and not name.startswith("specifications"):
            names.append(name)

    file.visititems(note)


def replace(file: h5py.File, name: str, **options: object) -> h5py.Dataset:
    """Return a new array in an array's place, with its attributes."""
    attributes = dict(file[name].attrs)
    del file[name]
    dataset = file.create_dataset(name, **options)
    dataset.attrs.update(attributes)
    return dataset


def huge(rng: Rng, file: h5py.File, name: str) -> None:
    """Let an array claim far more elements than it has in the file."""
    shapes = (
        (1 << 40,),
        (1 << 31, 1 << 20),
        (1 << 14, 1 << 16),
        (1 << 27,),
        (1 << 22,),
    )
    shape = shapes[rng.integers(len(shapes))]
    chunks = None if rng.random() < 0.5 else tuple(min(k, 1 << 10) for k in shape)
    kind = "f8" if file[name].dtype.kind != "O" else h5py.string_dtype()
    replace(file, name, shape=shape, dtype=kind, chunks=chunks)


def bomb(rng: Rng, file: h5py.File, name: str) -> None:
    """Put 4 GiB of zeros in an array's place, in chunks that all deflate to nothing."""
    packed, side = zlib.compress(bytes(8 << 20), 9), 1 << 20
    dataset = replace(
        file, name, shape=(512 * side,), dtype="f8", chunks=(side,), compression="gzip"
    )
    for k in range(512):
        dataset.id.write_direct_chunk((k * side,), packed)


def shallow_bomb(rng: Rng, file: h5py.File, name: str) -> None:
    """Put a number or two in an array's place, of one chunk that is GiB of zeros."""
    # A reader that trusts the shape, four numbers, would unpack the whole chunk. The
    # stream of one MiB refers to nothing before it, so it can be repeated.
    packer, count = zlib.compressobj(9), 1536
    start = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    mebibyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    # Adler's sum of n zeros.
    sum_ = ((count << 20) % 65521 << 16 | 1).to_bytes(4, "big")
    dataset = replace(
        file,
        name,
        shape=(4,),
        maxshape=(None,),
        dtype="f8",
        chunks=(count << 17,),
        compression="gzip",
    )
    dataset.id.write_direct_chunk((0,), start + mebibyte * count + end + sum_)


def linked(rng: Rng, file: h5py.File, name: str) -> None:
    """Put a link in an array's place: to another file, to nowhere, to itself."""
    del file[name]
    parent = name.rpartition("/")[0] or "/"
    links = (
        h5py.ExternalLink("other.h5", "/"),
        h5py.SoftLink("/nowhere"),
        h5py.SoftLink("/" + name),
        file[parent],
        file["/"],
    )
    file[name] = links[rng.integers(len(links))]


def outside(rng: Rng, file: h5py.File, name: str) -> None:
    """Keep an array's data in another file."""
    shape, kind = file[name].shape or (1,), file[name].dtype
    if kind.kind not in "fiu":
        kind = np.dtype("f8")
    if rng.random() < 0.5:
        # A file that every machine has: a reader that follows would give it away.
        place = [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
        replace(file, name, shape=shape, dtype=kind, external=place)
        return
    attributes = dict(file[name].attrs)
    layout = h5py.VirtualLayout(shape, dtype=kind)
    layout[...] = h5py.VirtualSource("other.h5", name, shape)
    del file[name]
    file.create_virtual_dataset(name, layout).attrs.update(attributes)


def filtered(rng: Rng, file: h5py.File, name: str) -> None:
    """Store an array through a filter that HDF5 would have to load."""
    value = np.atleast_1d(np.zeros(file[name].shape))
    attributes = dict(file[name].attrs)
    del file[name]
    # By the library's own calls: h5py refuses filters that it does not have.
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    shape = tuple(max(k, 1) for k in value.shape)
    plan.set_chunk(shape)
    plan.set_filter(FORBIDDEN_FILTER, h5py.h5z.FLAG_OPTIONAL, ())
    space = h5py.h5s.create_simple(shape)
    kind = h5py.h5t.IEEE_F64LE
    dataset = h5py.h5d.create(file.id, name.encode(), kind, space, plan)
    dataset.write_direct_chunk((0,) * len(shape), b"\x28\xb5\x2f\xfd" + rng.bytes(40))
    file[name].attrs.update(attributes)


def retyped(rng: Rng, file: h5py.File, name: str) -> None:
    """Give an array elements of another type."""
    kinds = (
        "f4",
        ">i8",
        "S5",
        "V16",
        np.dtype([("a", "f8"), ("b", "i4")]),
        np.dtype(("f8", (3,))),
        h5py.vlen_dtype(np.float64),
        h5py.string_dtype(),
        h5py.ref_dtype,
        h5py.regionref_dtype,
        h5py.enum_dtype({"a": 1, "b": 2}),
        "c16",
        "f2",
        np.dtype([("a" * 2000, "f8")]),
    )
    kind = kinds[rng.integers(len(kinds))]
    replace(file, name, shape=file[name].shape, dtype=kind)


def reshaped(rng: Rng, file: h5py.File, name: str) -> None:
    """Give an array another shape, or none."""
    shape = file[name].shape or ()
    shapes: list[tuple[int, ...] | None] = [
        (),
        (0,),
        shape[::-1],
        (*shape, 2),
        (*shape[:-1], 7),
        (1,) * 30,
        None,
    ]
    new_shape = shapes[rng.integers(len(shapes))]
    kind = file[name].dtype
    if new_shape is None:
        replace(file, name, data=h5py.Empty("f8"))
    else:
        replace(file, name, shape=new_shape, dtype=kind)


def revalued(rng: Rng, file: h5py.File, name: str) -> None:
    """Put a number that no network has among an array's, or negate all."""
    value = np.array(file[name][()])
    if value.dtype.kind not in "fiu" or not value.size:
        return retyped(rng, file, name)
    wide = with_bad_value(rng, value)
    if value.dtype.kind in "iu":
        wide = np.clip(np.nan_to_num(wide, nan=-1), -(2.0**62), 2.0**62)
        wide = wide.astype(np.int64)
    replace(file, name, data=wide)
    return None


def missing(rng: Rng, file: h5py.File, name: str) -> None:
    """Take an array away, or a group around it."""
    parts = name.split("/")
    del file["/".join(parts[: rng.integers(1, len(parts) + 1)])]


def attributed(rng: Rng, file: h5py.File, name: str) -> None:
    """Give an object an attribute that is odd, or take one away."""
    parts = name.split("/")
    entry = file["/".join(parts[: rng.integers(1, len(parts) + 1)])]
    names = ("MATLAB_class", "MATLAB_empty", "neurodata_type", "namespace", "colnames")
    key = (*entry.attrs, *names)[rng.integers(len(entry.attrs) + len(names))]
    values: tuple[object, ...] = (
        "x" * 5000,
        np.zeros(4000),
        -1,
        h5py.Empty("f8"),
        np.bytes_("\u00ff".encode("latin1")),
        np.zeros(2, [("a", "f8")]),
        "double",
    )
    if key in entry.attrs:
        del entry.attrs[key]
    if rng.random() < 0.7:
        entry.attrs[key] = values[rng.integers(len(values))]


def deep(rng: Rng, file: h5py.File, name: str) -> None:
    """Put an array below many groups, or beside very many."""
    parent = file[name.rpartition("/")[0] or "/"]
    if rng.random() < 0.5:
        for _ in range(3000):
            parent = parent.create_group(name.rpartition("/")[2] + "_")
    else:
        for k in range(3000):
            parent[f"more{k}"] = 0.0


def renamed(rng: Rng, file: h5py.File, name: str) -> None:
    """Give a text of the file another content, or an object another name."""
    if file[name].dtype.kind == "O":
        texts = ("", "\ud7ff" * 999, "NIRGraph", "CubaLIF", "Nothing", "../x")
        value = np.full(file[name].shape, texts[rng.integers(len(texts))], object)
        replace(file, name, data=value, dtype=h5py.string_dtype())
    else:
        file.move(name, name + "\u00e9")


HDF5: dict[str, Damage] = {
    "array of 2^27 to 2^51": Damage(edit(huge)),
    "chunks that deflate to nothing": Damage(edit(bomb)),
    "chunk of 1.5 GiB": Damage(edit(shallow_bomb)),
    "link": Damage(edit(linked)),
    "data in another file": Damage(edit(outside)),
    "unknown filter": Damage(edit(filtered)),
    "another type": Damage(edit(retyped)),
    "another shape": Damage(edit(reshaped)),
    "bad values": Damage(edit(revalued)),
    "array or group missing": Damage(edit(missing)),
    "odd attribute": Damage(edit(attributed)),
    "deep or wide": Damage(edit(deep)),
    "another name or text": Damage(edit(renamed)),
}
