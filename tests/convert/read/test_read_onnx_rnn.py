import numpy as np
import pytest
import torch

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.simulate.rate_dynamics import simulate_rate

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from isotau.convert.read.read_onnx import read_onnx_rnn  # noqa: E402

N, N_IN, N_OUT, STEPS, BATCH = 10, 3, 2, 60, 4
RNG = np.random.default_rng(0)
WEIGHTS = {
    "W": RNG.normal(size=(1, N, N_IN)),
    "R": RNG.normal(size=(1, N, N)) / N**0.5,
    "B": 0.5 * RNG.normal(size=(1, 2 * N)),
    "V": RNG.normal(size=(N, N_OUT)),
    "c": RNG.normal(size=N_OUT),
}
SQUEEZE = helper.make_node("Squeeze", ["Y", "one"], ["h"])
MATMUL = helper.make_node("MatMul", ["h", "V"], ["p"])
ADD = helper.make_node("Add", ["c", "p"], ["out"])
READOUT = (SQUEEZE, MATMUL, ADD)


def rnn(inputs=("x", "W", "R", "B"), outputs=("Y", "Y_h"), **attributes):
    return helper.make_node("RNN", inputs, outputs, hidden_size=N, **attributes)


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, list(inputs), [output], **attributes)


def initializer(name, value):
    kind = np.int64 if np.asarray(value).dtype.kind == "i" else np.float32
    return numpy_helper.from_array(np.asarray(value, dtype=kind), name)


def save(path, nodes, *, more=None, outputs=("out",), inputs=("x",)):
    """Write a model of these nodes and the weights above; `more` changes those."""
    values = {**WEIGHTS, "one": np.array([1]), "last": np.array(-1)} | (more or {})
    used = {name for part in nodes for name in part.input}
    made = [initializer(k, v) for k, v in values.items() if k in used and v is not None]
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, None) for k in inputs],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, None) for k in outputs],
        made,
    )
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def outputs_of(path, inputs):
    """Return what onnxruntime computes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path.read_bytes(), options)
    return session.run(None, {"x": inputs.astype(np.float32)})[0]


def own_outputs(net, inputs):
    return simulate_rate(net, inputs, seed=0, noise=False).outputs


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(2).normal(size=(STEPS, BATCH, N_IN))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.onnx"


@pytest.mark.parametrize("activation", ["Tanh", "Relu", "Sigmoid", "Softplus"])
def test_a_model_gives_what_onnxruntime_gives(path, inputs, activation):
    save(path, [rnn(activations=[activation]), *READOUT])
    net, said = read_onnx_rnn(path)
    expected = outputs_of(path, inputs)
    assert own_outputs(net, inputs) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert net.activation == activation.lower()
    assert said.family == "ONNX RNN"
    assert said.find("activation").source == said.find("readout").source == "file"
    assert said.find("alpha")[1:3] == ("1", "default")


def test_what_need_not_be_there(path, inputs):
    save(path, [rnn(inputs=("x", "W", "R")), SQUEEZE], outputs=("h",))
    net, said = read_onnx_rnn(path)
    assert own_outputs(net, inputs) == pytest.approx(outputs_of(path, inputs), abs=1e-5)
    assert not net.bias.any() and net.activation == "tanh"
    assert said.find("readout").value == "none: the outputs are the units"


def test_weights_may_come_through_nodes(path, inputs):
    constant = node("Constant", (), "k", value=initializer("", WEIGHTS["W"]))
    same = node("Identity", "k", "W2")
    save(path, [constant, same, rnn(inputs=("x", "W2", "R", "B")), *READOUT])
    assert own_outputs(read_onnx_rnn(path).net, inputs) == pytest.approx(
        outputs_of(path, inputs), abs=1e-5
    )


def test_a_leak_is_taken_as_an_argument(path, inputs):
    save(path, [rnn(), *READOUT])
    net = read_onnx_rnn(path, dt=0.01, tau=0.04, noise_std=0.1).net
    w = {name: value[0] for name, value in WEIGHTS.items()}
    x, rows = np.zeros(N), []
    for u in inputs[:, 0]:
        drive = w["R"] @ np.tanh(x) + w["W"] @ u + w["B"][:N] + w["B"][N:]
        x = 0.75 * x + 0.25 * drive
        rows.append(np.tanh(x) @ WEIGHTS["V"] + WEIGHTS["c"])
    found = own_outputs(net, inputs)[:, 0]
    assert found == pytest.approx(np.array(rows), abs=1e-5)
    assert net.noise_std == 0.1


H0 = 0.5 * np.tanh(np.random.default_rng(4).normal(size=(1, 1, N)))


@pytest.mark.parametrize("form", ["rows", "expand", "shape", "full"])
def test_a_constant_start_is_kept(path, inputs, form):
    start = {
        "rows": ([], {"h0": np.repeat(H0, BATCH, axis=1)}),
        "expand": (
            [node("Expand", ("row", "shape"), "h0")],
            {"row": H0, "shape": np.array([1, BATCH, N])},
        ),
        "shape": (
            [
                node(
                    "ConstantOfShape",
                    ["shape"],
                    "h0",
                    value=helper.make_tensor("", TensorProto.FLOAT, [1], [0.25]),
                )
            ],
            {"shape": np.array([1, BATCH, N])},
        ),
        "full": (
            [node("ConstantOfShape", ["shape"], "h0")],
            {"shape": np.array([1, BATCH, N])},
        ),
    }[form]
    layer = rnn(inputs=("x", "W", "R", "B", "", "h0"))
    save(path, [*start[0], layer, *READOUT], more=start[1])
    net, said = read_onnx_rnn(path)
    assert own_outputs(net, inputs) == pytest.approx(outputs_of(path, inputs), abs=1e-5)
    assert said.find("start") == ("start", "H = initial_h", "file", "")


def test_a_start_that_is_an_input_is_said_to_be_zero(path):
    layer = rnn(inputs=("x", "W", "R", "B", "", "h0"))
    save(path, [layer, *READOUT], inputs=("x", "h0"))
    net, said = read_onnx_rnn(path)
    assert not net.x0.any()
    assert said.find("start")[2:] == ("default", "not the input h0")


def test_layout_one_has_the_batch_first(path, inputs):
    squeeze = node("Squeeze", ("Y", "two"), "h")
    layer = rnn(layout=1)
    save(path, [layer, squeeze, MATMUL, ADD], more={"two": np.array([2])})
    # onnxruntime computes no layout 1, so the same network with layout 0 is its oracle.
    expected = outputs_of(save(path.with_name("0"), [rnn(), *READOUT]), inputs)
    assert own_outputs(read_onnx_rnn(path).net, inputs) == pytest.approx(
        expected, abs=1e-5
    )


def test_one_step_of_the_output_is_a_readout(path, inputs):
    gather = node("Gather", ("h", "last"), "s", axis=0)
    gemm = node("Gemm", ("s", "VT", "c"), "out", transB=1, alpha=0.5, beta=2.0)
    turned = {"VT": WEIGHTS["V"].T}
    save(path, [rnn(), SQUEEZE, gather, gemm], more=turned)
    net, said = read_onnx_rnn(path)
    expected = outputs_of(path, inputs)
    assert own_outputs(net, inputs)[-1] == pytest.approx(expected, abs=1e-5)
    assert said.find("readout").note == "the model returns one step only"
    final = node("Squeeze", ("Y_h", "zero"), "s")
    plain = node("Gemm", ("s", "V"), "out")
    save(path, [rnn(), final, plain], more={"zero": np.array([0])})
    net, said = read_onnx_rnn(path)
    assert own_outputs(net, inputs)[-1] == pytest.approx(
        outputs_of(path, inputs), abs=1e-5
    )
    assert not net.b_out.any()


def test_axes_may_be_exchanged_and_a_single_output_squeezed(path, inputs):
    before = node("Transpose", ["x"], "xt", perm=[1, 0, 2])
    after = node("Transpose", ["h"], "ht", perm=[1, 0, 2])
    one = {"V1": WEIGHTS["V"][:, :1], "end": np.array([-1])}
    nodes = [
        before,
        rnn(inputs=("xt", "W", "R", "B")),
        SQUEEZE,
        after,
        node("MatMul", ("ht", "V1"), "p"),
        node("Squeeze", ("p", "end"), "out"),
    ]
    save(path, nodes, more=one)
    found = own_outputs(read_onnx_rnn(path).net, inputs)[..., 0]
    expected = outputs_of(path, inputs.transpose(1, 0, 2))
    assert found == pytest.approx(expected.T, abs=1e-5)


def test_states_beside_the_readout_are_no_second_one(path, inputs):
    save(path, [rnn(), *READOUT], outputs=("out", "Y_h"))
    assert read_onnx_rnn(path).net.n_out == N_OUT


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("batch_first", [False, True])
def test_what_torch_exports_gives_what_torch_gives(path, inputs, batch_first):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.rnn = torch.nn.RNN(N_IN, N, batch_first=batch_first)
            self.fc = torch.nn.Linear(N, N_OUT)

        def forward(self, x):
            return self.fc(self.rnn(x)[0])

    model, x = Model().eval(), torch.tensor(inputs, dtype=torch.float32)
    x = x.transpose(0, 1) if batch_first else x
    torch.onnx.export(
        model, (x,), path, dynamo=False, dynamic_axes={"x": [0, 1]}, input_names=["x"]
    )
    with torch.no_grad():
        expected = model(x).numpy()
    expected = expected.transpose(1, 0, 2) if batch_first else expected
    assert own_outputs(read_onnx_rnn(path).net, inputs) == pytest.approx(
        expected, abs=1e-5
    )


TWICE = [rnn(), *READOUT, node("MatMul", ("h", "V"), "other")]
CIRCLE = [
    rnn(),
    SQUEEZE,
    node("Identity", ["h"], "a"),
    node("Identity", ["a"], "b"),
    node("Identity", ["b"], "out"),
]


@pytest.mark.parametrize(
    ("nodes", "settings", "message"),
    [
        ([rnn(direction="reverse"), *READOUT], {}, "direction: got reverse, need forw"),
        ([rnn(clip=3.0), *READOUT], {}, r"clip: got 3\.0, need an RNN node without"),
        ([rnn(activation_alpha=[0.1]), *READOUT], {}, r"activation_alpha: got \[0\.1"),
        ([rnn(activations=["Elu"]), *READOUT], {}, r"activations: got \['Elu'\], need"),
        (
            [helper.make_node("LSTM", ["x", "W", "R"], ["Y"], hidden_size=N), *READOUT],
            {},
            "node: got LSTM, need an RNN node, which has no gates",
        ),
        (
            [helper.make_node("GRU", ["x", "W", "R"], ["Y"], hidden_size=N), *READOUT],
            {},
            "node: got GRU, need an RNN node",
        ),
        (
            [MATMUL],
            {"inputs": ("h",), "outputs": ("p",)},
            "RNN nodes: got 0 among MatM",
        ),
        (
            [rnn(), rnn(inputs=("Y_h", "W", "R"), outputs=("Z",)), *READOUT],
            {},
            "RNN nodes: got 2 among",
        ),
        (
            [node("Relu", ["x"], "a"), rnn(inputs=("a", "W", "R")), *READOUT],
            {},
            "before the RNN node: got Relu, need the model's input itself",
        ),
        (
            [rnn(inputs=("c", "W", "R")), *READOUT],
            {},
            r"before the RNN node: got 'c', n",
        ),
        (
            [rnn(inputs=("x", "W", "R", "", "lens")), *READOUT],
            {"more": {"lens": np.full(BATCH, 5)}},
            "sequence_lens: got lengths of trials, need none",
        ),
        (
            [rnn(inputs=("x", "W2", "R")), *READOUT],
            {"inputs": ("x", "W2")},
            "'W2': got an input, need a constant",
        ),
        (
            [node("Relu", ["W"], "W2"), rnn(inputs=("x", "W2", "R")), *READOUT],
            {},
            "'W2': got the result of Relu, need a constant",
        ),
        (
            [rnn(inputs=("x", "W", "R", "", "", "h0")), *READOUT],
            {"more": {"h0": RNG.normal(size=(1, BATCH, N))}},
            "initial_h: got one state per trial, need the same in all",
        ),
        (
            [rnn(inputs=("x", "W", "R", "", "", "h0")), *READOUT],
            {"more": {"h0": np.zeros((1, BATCH, 4))}},
            r"initial_h: got shape \(1, 4, 4\), need 10 units",
        ),
        (
            [rnn(inputs=("x", "W", "R", "", "", "h0")), *READOUT],
            {"more": {"h0": np.full((1, 1, N), 1.5)}},
            r"initial state: got 1\.5, need rates that tanh has",
        ),
        (
            [rnn(), SQUEEZE, node("Relu", ["h"], "out")],
            {},
            "after the RNN node: got Relu, need a linear readout",
        ),
        (
            [rnn(), SQUEEZE, node("MatMul", ("V2", "h"), "out")],
            {"more": {"V2": WEIGHTS["V"].T}},
            "after the RNN node: got MatMul",
        ),
        (
            [rnn(), SQUEEZE, node("Transpose", ["h"], "out", perm=[0, 1])],
            {},
            "after the RNN node: got Transpose",
        ),
        (
            [rnn(), *READOUT[:2], node("Gather", ("p", "last"), "out", axis=2)],
            {},
            "after the RNN node: got Gather",
        ),
        (
            [rnn(), SQUEEZE, node("Gemm", ("h", "V"), "out", transA=1)],
            {},
            "after the RNN node: got Gemm",
        ),
        (
            TWICE,
            {"outputs": ("out", "other")},
            "outputs read from the units: got .*, nee",
        ),
        (
            [rnn(), *READOUT[:1]],
            {"outputs": ("x",)},
            "from the units: got none, need one",
        ),
        (
            [rnn(), *READOUT],
            {"more": {"R": np.ones((1, N, 3))}},
            r"R: got shape \(1, 10",
        ),
        (
            [rnn(), *READOUT],
            {"more": {"B": np.ones((1, N))}},
            r"B: got shape \(1, 10\), ",
        ),
        (
            [rnn(), *READOUT],
            {"more": {"W": np.full((1, N, 2), np.nan)}},
            "W: got NaN or infinity",
        ),
    ],
)
def test_what_no_rate_network_has_is_refused_by_name(path, nodes, settings, message):
    save(path, nodes, **settings)
    with pytest.raises(UnreadableFile, match=message):
        read_onnx_rnn(path)


def changed(path, change):
    """Change a saved model by hand."""
    model = onnx.load_model_from_string(path.read_bytes())
    change(model.graph)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("where", ["initializer", "node"])
def test_weights_elsewhere_are_refused(path, where):
    constant = node("Constant", (), "W2", value=initializer("W", WEIGHTS["W"]))
    first = "W" if where == "initializer" else "W2"
    save(path, [constant, rnn(inputs=("x", first, "R")), *READOUT])

    def outside(graph):
        in_node = graph.node[0].attribute[0].t
        named = {entry.name: entry for entry in graph.initializer}
        tensor = named["W"] if where == "initializer" else in_node
        onnx.external_data_helper.set_external_data(tensor, "other.bin")
        tensor.ClearField("raw_data")

    changed(path, outside)
    with pytest.raises(UnreadableFile, match="W: got data in another file, need it in"):
        read_onnx_rnn(path)


def test_weights_that_only_claim_to_be_there_are_refused(path):
    def inflated(graph):
        graph.initializer[0].dims[1] = 10**9

    with pytest.raises(UnreadableFile, match=r"W: got \d+ elements, need at mo"):
        read_onnx_rnn(changed(save(path, [rnn(), *READOUT]), inflated))


def test_a_circle_of_nodes_is_refused(path):
    def circle(graph):
        graph.node[-1].output[0] = "h"

    with pytest.raises(UnreadableFile, match=r"graph: got a circle"):
        read_onnx_rnn(changed(save(path, CIRCLE), circle))


def test_absent_large_and_other_files_are_refused(path, monkeypatch):
    with pytest.raises(UnreadableFile, match=r"net\.onnx: No such file"):
        read_onnx_rnn(path)
    path.write_bytes(b"hello")
    with pytest.raises(UnreadableFile, match=r"got .*, need an ONNX model"):
        read_onnx_rnn(path)
    save(path, [rnn(), *READOUT])
    monkeypatch.setattr("isotau.convert.read.read_onnx.MAX_BYTES", 10)
    with pytest.raises(UnreadableFile, match=r"got more than 10 bytes, need at most"):
        read_onnx_rnn(path)


def test_damaged_files_are_read_or_refused_and_nothing_else(path):
    rng, refused = np.random.default_rng(5), 0
    whole = save(path, [rnn(), *READOUT]).read_bytes()
    start = len(whole) - 400  # most of the rest is weights
    for k in range(300):
        damaged = bytearray(whole)
        for at in [
            *rng.integers(300, size=1),
            *rng.integers(start, len(whole), size=1),
        ]:
            damaged[at] = rng.integers(256)
        path.write_bytes(
            damaged[: rng.integers(len(damaged))] if k % 10 == 0 else damaged
        )
        try:
            read_onnx_rnn(path)
        except UnreadableFile:
            refused += 1
    assert refused > 100
