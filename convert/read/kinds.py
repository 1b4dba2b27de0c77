"""Kinds of files: how each is told from its content, and what reads it.

`READERS` has a row for each kind of file that holds a rate network. Another package
adds a row by an entry point of the group `GROUP` that names a `FileReader`
(`isotau.convert.ground.plugins`).
"""

import inspect
import os
import zipfile
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from importlib.metadata import EntryPoint
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple, get_args

import h5py

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.matlab import check_heaps
from isotau.convert.ground.npz import DAMAGED
from isotau.convert.ground.plugins import plugins, warn_broken

GROUP = "isotau.readers"
"""Entry points of other packages' readers of rate networks."""
HDF5 = b"\x89HDF\r\n\x1a\n"
MATLAB_ORDER = (b"\x00\x01IM", b"\x01\x00MI")
"""At byte 124 of a MATLAB 5 file."""
OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How files of torch before 1.6 begin; later ones are zip files with a `data.pkl`."""
ONNX = b"\x08"
"""Field 1 of a model, its version, which writers put first."""
PICKLE = b"\x80"
HEAD = 128
"""Bytes at the beginning that tell formats apart; MATLAB 5's mark ends there."""


class Content:
    """What is in a file, looked into no further than a reader's `sniff` asks for.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Take a path; nothing is opened yet."""
        # Every answer below is kept: several readers ask the same question.
        self.path = Path(path)

    @cached_property
    def head(self) -> bytes:
        """The first `HEAD` bytes.

        Raises:
            UnreadableFile: no such file, or it cannot be opened.
        """
        try:
            with self.path.open("rb") as stream:
                return stream.read(HEAD)
        except FileNotFoundError:
            raise UnreadableFile(f"{self.path}: no such file") from None
        except OSError as error:
            raise UnreadableFile(f"{self.path}: {error}") from error

    @cached_property
    def members(self) -> frozenset[str]:
        """Names in a zip file, without folders; none for another file.

        Raises:
            UnreadableFile: it begins like a zip file and is damaged.
        """
        # torch puts all into a folder of the archive's name, numpy into none.
        if not self.head.startswith(b"PK"):
            return frozenset()
        try:
            with zipfile.ZipFile(self.path) as archive:
                return frozenset(n.rpartition("/")[2] for n in archive.namelist())
        except (*DAMAGED, zipfile.BadZipFile) as error:
            raise UnreadableFile(f"{self.path}: {error}") from error

    @cached_property
    def arrays(self) -> frozenset[str]:
        """Names of the arrays in an `.npz`."""
        return frozenset(name.removesuffix(".npy") for name in self.members)

    @property
    def is_matlab(self) -> bool:
        """Whether it is a MATLAB 5 or 7.3 file, or HDF5 of whatever kind."""
        # MATLAB 7.3 is HDF5 behind a block of 512 bytes, in which it names itself.
        return (
            self.head.startswith(HDF5)
            or self.head[124:128] in MATLAB_ORDER
            or b"MATLAB 7.3" in self.head
        )

    @property
    def is_hdf5(self) -> bool:
        """Whether it is HDF5, perhaps behind a block of the user's."""
        return self.path.is_file() and bool(h5py.is_hdf5(self.path))

    @cached_property
    def attributes(self) -> frozenset[str]:
        """Names of the root's attributes in an HDF5 file; none for another file.

        Raises:
            UnreadableFile: it begins like HDF5 and is damaged.
        """
        try:
            if not self.is_hdf5:
                return frozenset()
            check_heaps(self.path)  # HDF5 may never return from a damaged one
            with h5py.File(self.path, "r") as file:
                return frozenset(file.attrs)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise UnreadableFile(f"{self.path}: {error}") from error

    @property
    def is_torch(self) -> bool:
        """Whether `torch.save` wrote it."""
        return "data.pkl" in self.members or self.head.startswith(OLD_TORCH)

    @cached_property
    def parameters(self) -> frozenset[str]:
        """Names in the state dict of a file of torch.

        Raises:
            UnreadableFile: it holds no state dict, or is damaged.
        """
        from isotau.convert.read.read_torch_rnn import read_state

        return frozenset(read_state(self.path).values)

    def describe(self) -> tuple[str, str]:
        """Return what the file is that no reader takes, and what to do about it."""
        if self.members:
            return f"a zip file with {', '.join(sorted(self.arrays)[:20])}", ""
        # Older torch files begin so, too; they are taken before this is asked.
        if self.head.startswith(PICKLE):
            remedy = "; save its arrays with numpy.savez"
            return "a pickle, which can run anything when read", remedy
        return f"a file that begins with {self.head[:8]!r}", ""


class FileReader(NamedTuple):
    """A kind of file, and what reads it.

    Attributes:
        name: of the kind, as messages give it.
        suffix: how the names of such files usually end; the content decides.
        sniff: whether a file is of this kind. What it raises ends the search.
        function: what reads it, or "module:function" where that is imported on use.
            The first parameter is the path; those by keyword alone are what may be
            assumed of such files, None where the caller says nothing.
        mark: what such a file holds and others do not, for messages; may be empty.
        any_content: whether it takes every file of a format, whatever is in it, such
            as every `.mat`. It is asked after all that look closer.
    """

    name: str
    suffix: str
    sniff: Callable[[Content], bool]
    function: str | Callable[..., Any]
    mark: str = ""
    any_content: bool = False

    def resolve(self) -> Callable[..., Any]:
        """Return the function that reads."""
        if isinstance(self.function, str):
            return resolve_name(self.function)
        return self.function

    def assumptions(self) -> tuple[str, ...]:
        """Return the names of what may be assumed of such files."""
        # The signature is what users read, and cannot differ from what is accepted.
        names: list[str] = []
        for parameter in inspect.signature(self.resolve()).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY:
                names.append(parameter.name)
            if parameter.kind is parameter.VAR_KEYWORD:  # Unpack of a TypedDict
                (assumptions,) = get_args(parameter.annotation)
                names += assumptions.__annotations__
        return tuple(names)

    def describe(self) -> str:
        """Return name, suffix where the name lacks it, and mark: "… .npz (W_rec)"."""
        end = "" if self.suffix[1:] in self.name.lower() else f" {self.suffix}"
        return f"{self.name}{end}" + (f" ({self.mark})" if self.mark else "")


def _is_plain(content: Content) -> bool:
    return bool(content.arrays & {"w_rec", "m_vectors", "n_vectors"})


def _is_psychrnn(content: Content) -> bool:
    return bool(content.arrays & {"W_rec", "W_f", "b_rec"})


def _is_torch_rnn(content: Content) -> bool:
    # LSTM and GRU as well: the reader says why it refuses them.
    recurrent = ("weight_hh", "weight_ih")
    return content.is_torch and any(
        part in name for name in content.parameters for part in recurrent
    )


def _is_isotau_onnx(content: Content) -> bool:
    if not content.head.startswith(ONNX):
        return False
    from isotau.convert.read.read_onnx import is_own

    return is_own(content.path)


_HERE = "isotau.convert.read"
# By name, so that a file of one kind does not load torch, onnx and scipy for the rest.
# What takes a whole format stands last: rows of this table and of others look closer.
READERS = (
    FileReader(
        "isotau .rate.npz",
        ".rate.npz",
        lambda content: "isotau" in content.arrays,
        f"{_HERE}.read_rate:read_record",
    ),
    FileReader(
        "plain .npz", ".npz", _is_plain, f"{_HERE}.read_plain:read_plain", mark="w_rec"
    ),
    FileReader(
        "PsychRNN .npz",
        ".npz",
        _is_psychrnn,
        f"{_HERE}.read_psychrnn:read_psychrnn",
        mark="W_rec",
    ),
    FileReader(
        "torch.nn.RNN", ".pt", _is_torch_rnn, f"{_HERE}.read_torch_rnn:read_torch_rnn"
    ),
    FileReader(
        "isotau .onnx", ".onnx", _is_isotau_onnx, f"{_HERE}.read_onnx:read_onnx_scan"
    ),
    FileReader(
        "low-rank",
        ".pt",
        lambda content: content.is_torch,
        f"{_HERE}.read_lowrank:read_lowrank",
        any_content=True,
    ),
    FileReader(
        "spikeRNN .mat",
        ".mat",
        lambda content: content.is_matlab,
        f"{_HERE}.read_spikernn:read_spikernn",
        any_content=True,
    ),
    FileReader(
        "ONNX",
        ".onnx",
        lambda content: content.head.startswith(ONNX),
        f"{_HERE}.read_onnx:read_onnx_rnn",
        any_content=True,
    ),
)


def find_reader(
    path: str | os.PathLike[str],
    readers: Sequence[FileReader] = READERS,
    group: str = GROUP,
) -> FileReader:
    """Return the reader that takes a file.

    Readers of other packages are loaded only where none of `readers` that looks into
    files takes it, and asked before those that take a whole format.

    Args:
        path: of the file.
        readers: rows of a table, in the order in which they are asked.
        group: of the entry points of other packages' readers.

    Raises:
        UnreadableFile: none does, or it cannot be opened.
    """
    content = Content(path)

    def first(rows: Iterable[FileReader]) -> FileReader | None:
        return next((reader for reader in rows if reader.sniff(content)), None)

    reader = first(row for row in readers if not row.any_content)
    if reader:
        return reader
    # Loading runs code of others: only for files that nothing here knows for certain.
    offered = tuple(_guarded(entry, row) for entry, row in plugins(group, FileReader))
    reader = first((*offered, *(row for row in readers if row.any_content)))
    if reader:
        return reader
    content_text, remedy = content.describe()
    kinds = ", ".join(row.describe() for row in (*readers, *offered))
    raise UnreadableFile(f"{path}: got {content_text}, need one of {kinds}{remedy}")


def read_file(
    path: str | os.PathLike[str],
    readers: Sequence[FileReader] = READERS,
    group: str = GROUP,
    **assumptions: Any,
) -> Any:
    """Return what the reader that takes a file makes of it.

    Args:
        path: of the file.
        readers: as for `find_reader`.
        group: as for `find_reader`.
        assumptions: what the caller says of the file; None for nothing.

    Raises:
        UnreadableFile: none of these files, damaged, or not as its reader needs it.
        ValueError: an assumption that such files leave no room for.
    """
    # Refused here, and not by the reader, whose TypeError would name a function.
    reader = find_reader(path, readers, group)
    stated = {name: value for name, value in assumptions.items() if value is not None}
    accepted = reader.assumptions()
    refused = [name for name in stated if name not in accepted]
    if refused:
        raise ValueError(
            f"{path}: got {', '.join(refused)}, need {reader.name} files read with "
            f"{', '.join(accepted) or 'no argument'}; they state the rest, or have no "
            "such thing"
        )
    return reader.resolve()(path, **stated)


def _guarded(entry: EntryPoint, reader: FileReader) -> FileReader:
    """Return a reader of another package whose `sniff` warns where it breaks down.

    A fault in it must not hide what isotau itself can read.
    """

    def sniff(content: Content) -> bool:
        try:
            return reader.sniff(content)
        # "It is mine, and damaged" is an answer, and ends the search.
        except UnreadableFile:
            raise
        except Exception as error:
            warn_broken(entry, error)
            return False

    return reader._replace(sniff=sniff)
