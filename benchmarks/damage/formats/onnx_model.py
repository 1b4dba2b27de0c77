"""Damages of ONNX files, of the protocol buffer and of the model in it."""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.damage.formats.any_bytes import Damage, Rng

Graph = onnx.GraphProto


def edit(change: Callable[[Rng, Graph], None]) -> Callable[[Rng, bytes], bytes]:
    """Return the damage that changes a model's graph."""

    def damage(rng: Rng, whole: bytes) -> bytes:
        model = onnx.load_model_from_string(whole)
        change(rng, model.graph)
        return model.SerializeToString()

    return damage


def pick(rng: Rng, graph: Graph) -> TensorProto:
    """Return one of the graph's tensors."""
    return graph.initializer[rng.integers(len(graph.initializer))]


def huge(rng: Rng, graph: Graph) -> None:
    """Let a tensor claim more elements than it has, some past 64 bits."""
    shapes = ((1 << 40,), (1 << 62, 4), (1 << 32, 1 << 32), (1 << 24, 1))
    tensor = pick(rng, graph)
    del tensor.dims[:]
    tensor.dims.extend(shapes[rng.integers(len(shapes))])


def disagreeing(rng: Rng, graph: Graph) -> None:
    """Change dimensions: fewer, more, negative, zero."""
    tensor = pick(rng, graph)
    changes = (-1, 0, 1, -(1 << 40), 3, 1 << 20)
    if rng.random() < 0.3 or not tensor.dims:
        tensor.dims.extend([1] * int(rng.choice((1, 40, 70))))
    else:
        k = rng.integers(len(tensor.dims))
        tensor.dims[k] = changes[rng.integers(len(changes))]


def elsewhere(rng: Rng, graph: Graph) -> None:
    """Say that a tensor's data is in another file."""
    tensor = pick(rng, graph)
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    # A file that every machine has: a reader that follows would give it away.
    entry.key, entry.value = "location", "/etc/passwd"
    if rng.random() < 0.5:
        tensor.ClearField("raw_data")


def retyped(rng: Rng, graph: Graph) -> None:
    """Give a tensor another type, the same bytes."""
    pick(rng, graph).data_type = int(rng.choice((*range(28), 99, -1, 1 << 30)))


def refield(rng: Rng, graph: Graph) -> None:
    """Put a tensor's data in a field that is not for its type, or in two."""
    tensor = pick(rng, graph)
    values = rng.normal(size=int(rng.choice((0, 1, 24, 288, 5000))))
    if rng.random() < 0.6:
        tensor.ClearField("raw_data")
    kind = rng.integers(4)
    if kind == 0:
        tensor.float_data.extend(values)
    elif kind == 1:
        tensor.int32_data.extend(values.astype(int).tolist())
    elif kind == 2:
        tensor.string_data.extend([b"\xff"] * values.size)
    else:
        tensor.segment.begin, tensor.segment.end = 0, 1 << 40


def revalued(rng: Rng, graph: Graph) -> None:
    """Put a number that no network has in a tensor."""
    tensor = pick(rng, graph)
    value = np.array(numpy_helper.to_array(tensor))
    bad = (np.nan, np.inf, -np.inf, 1e38, -1.0, 0.0)
    wide = value.astype(np.float32)
    wide.reshape(-1)[rng.integers(value.size)] = bad[rng.integers(len(bad))]
    tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


def reshaped(rng: Rng, graph: Graph) -> None:
    """Give a tensor another shape, and data that fits."""
    tensor = pick(rng, graph)
    shapes = ((), (0,), (5,), (1, 2, 3), (1, 1, 1), (12, 12), (0, 12, 12), (1,) * 20)
    value = np.ones(shapes[rng.integers(len(shapes))], dtype=np.float32)
    tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))


def missing(rng: Rng, graph: Graph) -> None:
    """Take a tensor, a node, an input or an output away."""
    fields = (graph.initializer, graph.node, graph.input, graph.output)
    field = fields[rng.integers(4)] or graph.node
    del field[rng.integers(len(field))]


def rewired(rng: Rng, graph: Graph) -> None:
    """Let a node take or make another value, or nothing."""
    nodes = [node for node in graph.node if node.input and node.output]
    node = nodes[rng.integers(len(nodes))]
    names = ["", "nothing", *(name for maker in graph.node for name in maker.output)]
    ends = node.input if rng.random() < 0.5 else node.output
    if rng.random() < 0.3:
        del ends[rng.integers(len(ends)) :]
    else:
        ends[rng.integers(len(ends))] = names[rng.integers(len(names))]


def attributed(rng: Rng, graph: Graph) -> None:
    """Give a node an odd attribute."""
    node = graph.node[rng.integers(len(graph.node))]
    names = ("hidden_size", "layout", "direction", "activations", "axes", "transB")
    values: tuple[object, ...] = (-1, 1 << 62, 0.5, b"\xff\xfe", [3, -9], ["Tanh"])
    values += ([1.5], b"reverse", [b"\xff"], TensorProto(), onnx.GraphProto())
    del node.attribute[:]
    name = names[rng.integers(len(names))]
    attribute = helper.make_attribute(name, values[rng.integers(len(values))])
    if rng.random() < 0.3:
        # Of a type that is not its value's.
        attribute.type = int(rng.choice((0, 1, 4, 7, 14)))
    node.attribute.append(attribute)


def chained(rng: Rng, graph: Graph) -> None:
    """Put very many nodes before, behind or beside the others."""
    many, kind = int(rng.choice((500, 20_000))), rng.integers(3)
    users = [node for node in graph.node if len(node.input) > 1]
    user = users[rng.integers(len(users))]
    end = graph.node[-1].output[0]
    start = (user.input[0], user.input[1], end)[kind]
    for k in range(many):
        to = f"chain{k}"
        graph.node.append(helper.make_node("Identity", [start], [to]))
        # Not all in a row: a hundredth are dead ends, which a reader may skip.
        start = start if rng.random() < 0.01 else to
    if kind < 2:
        user.input[kind] = start
    else:
        graph.output[0].name = start


def nested(rng: Rng, whole: bytes) -> bytes:
    """Return a model in whose graph a node has a graph, and so on."""
    body = b""
    for _ in range(int(rng.choice((20, 200, 20_000)))):
        # A graph's node (1), the node's attribute (5), the attribute's graph (6).
        body = field(1, field(5, field(6, body)))
        if len(body) > 1 << 20:
            break
    return whole + field(7, body)


def field(number: int, content: bytes) -> bytes:
    """Return a field of a message that holds bytes."""
    # Wire type 2: a length, then so many bytes.
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Return a number as protocol buffers write it."""
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def long_field(rng: Rng, whole: bytes) -> bytes:
    """Return a model with a field that claims a length it does not have."""
    claimed = int(rng.choice((1 << 31, 1 << 40, 1 << 62, len(whole) + 9)))
    tag = bytes([int(rng.integers(1, 16)) << 3 | int(rng.choice((0, 1, 2, 3, 5)))])
    at = int(rng.choice((0, len(whole))))
    return whole[:at] + tag + varint(claimed) + whole[at:]


ONNX: dict[str, Damage] = {
    "dimensions of 2^24 to 2^64": Damage(edit(huge)),
    "dimensions and data disagree": Damage(edit(disagreeing)),
    "data in another file": Damage(edit(elsewhere)),
    "another type": Damage(edit(retyped)),
    "data in another field": Damage(edit(refield)),
    "bad values": Damage(edit(revalued)),
    "another shape": Damage(edit(reshaped)),
    "part missing": Damage(edit(missing)),
    "wired otherwise": Damage(edit(rewired)),
    "odd attribute": Damage(edit(attributed)),
    "thousands of nodes": Damage(edit(chained)),
    "graphs in graphs": Damage(nested),
    "length beyond the file": Damage(long_field),
}
