"""What an ONNX file says of its making: properties of the model, each JSON."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import onnx

from isotau.convert.errors import UnreadableFile
from isotau.convert.storage import Record, fingerprint

FORMAT = 1
MAX_TEXT = 1 << 26
"""Longest property that is read, in characters."""


def properties(record: Record, graph: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """Return a model's properties: which network it is, and what its numbers mean.

    Args:
        record: what the model computes; its kind and fingerprint are among them.
        graph: "scan" for a model over time, "step" for one step.
        fields: more, by name: numbers, text, or arrays, of which one number stands for
            many that are equal.
    """
    said = {
        "format": FORMAT,
        "isotau": version("isotau"),
        "kind": type(record).__name__,
        "graph": graph,
        "fingerprint": fingerprint(record),
        **{name: _plain(value) for name, value in fields.items()},
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in said.items()}


def read_properties(model: onnx.ModelProto) -> dict[str, Any]:
    """Return what `properties` made, from a model.

    Raises:
        UnreadableFile: the model was not made by isotau, or by a newer one, or its
            properties are damaged.
    """
    texts = {entry.key: entry.value for entry in model.metadata_props}
    if "format" not in texts or "fingerprint" not in texts:
        raise UnreadableFile(
            "metadata_props: got no format and fingerprint, need a model that isotau "
            "wrote"
        )
    longest = max(map(len, texts.values()))
    if longest > MAX_TEXT:
        raise UnreadableFile(
            f"metadata_props: got {longest} characters, need at most {MAX_TEXT}"
        )
    try:
        said = {key: json.loads(text) for key, text in texts.items()}
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(
            f"metadata_props: got {error}, need JSON; the file is damaged"
        ) from error
    if said["format"] != FORMAT:
        raise UnreadableFile(
            f"metadata_props: got format {said['format']}, need {FORMAT}; update "
            "isotau to read it"
        )
    return said


def _plain(value: Any) -> Any:
    """Return a value as JSON can say it."""
    if not isinstance(value, np.ndarray):
        return value
    flat = value.ravel()
    same = flat.size > 0 and bool((flat == flat[0]).all())
    return flat[0].item() if same else value.tolist()
