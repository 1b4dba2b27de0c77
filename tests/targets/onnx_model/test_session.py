import sys

import numpy as np
import onnx
import pytest

from benchmarks.engine.random_networks import random_messages, random_network
from isotau.convert.ground.errors import DoesNotFit, UnreadableFile
from isotau.sim.engines import reference
from isotau.targets.onnx_model import session
from isotau.targets.onnx_model.fixed_to_onnx import fixed_step_to_onnx, fixed_to_onnx
from isotau.targets.onnx_model.model_file import write_onnx
from isotau.targets.onnx_model.session import open_model, run_onnx


@pytest.fixture
def net():
    return random_network(np.random.default_rng(12), 11, extreme=False)


@pytest.fixture
def sent(net):
    return random_messages(np.random.default_rng(13), net, 30, 2, extreme=False)


@pytest.fixture
def runtime():
    return pytest.importorskip("onnxruntime")


def said_again(model, **changed):
    """The model with other properties."""
    texts = {entry.key: entry.value for entry in model.metadata_props} | changed
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {k: v for k, v in texts.items() if v})
    return model


def test_a_file_a_model_and_an_open_one_run_alike(net, sent, runtime, tmp_path):
    model = fixed_to_onnx(net)
    path = write_onnx(model, tmp_path / "net.onnx")
    ours = reference.run(net, sent, seed=4).spikes
    for given in (model, path, str(path), open_model(path, threads=2)):
        run = run_onnx(given, sent, seed=4)
        np.testing.assert_array_equal(run.spikes.bits, ours.bits)
        assert (run.spikes.network, run.spikes.dt) == (ours.network, net.dt)
        assert run.spikes.engine == "onnx"
        assert (run.u, run.v, run.outputs, run.f) == (None, None, None, None)


@pytest.mark.parametrize("make", [fixed_to_onnx, fixed_step_to_onnx])
def test_long_runs_go_in_parts(net, sent, runtime, monkeypatch, make):
    ours = reference.run(net, sent)
    monkeypatch.setattr(session, "AT_ONCE", 7 * 2 * net.n)
    passed = []

    def progress(parts, what):
        assert what == "onnxruntime"
        for part in parts:
            passed.append(part)
            yield part

    run = run_onnx(make(net), sent, progress=progress)
    assert passed == list(range(0, 30, 7 if make is fixed_to_onnx else 1))
    np.testing.assert_array_equal(run.spikes.bits, ours.spikes.bits)
    np.testing.assert_array_equal(run.state.v, ours.state.v)


def test_a_missing_runtime_is_named(net, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match="pip install onnxruntime"):
        open_model(fixed_to_onnx(net))


def test_other_models_are_refused(net, runtime):
    model = said_again(fixed_to_onnx(net), kind='"LIFNetwork"')
    with pytest.raises(UnreadableFile, match="got a model of a LIFNetwork, need one"):
        open_model(model)
    for key, text in (("n", "-1"), ("dt", '"x"'), ("graph", '"loop"'), ("n_in", None)):
        model = said_again(fixed_to_onnx(net), **{key: text})
        with pytest.raises(UnreadableFile, match="need what isotau wrote; the file is"):
            open_model(model)


def test_what_onnxruntime_refuses_is_an_unreadable_file(net, runtime):
    model = fixed_to_onnx(net)
    model.graph.node[5].input[0] = "nowhere"
    with pytest.raises(UnreadableFile, match="from onnxruntime, need a model that it"):
        open_model(model)


def test_arguments_are_checked(net, sent, runtime):
    opened = open_model(fixed_to_onnx(net, readout=True))
    with pytest.raises(ValueError, match=r"messages: got shape \(30, 2\), need 3 axes"):
        run_onnx(opened, sent[..., 0])
    with pytest.raises(
        ValueError, match=r"messages: got shape .* \(steps × batch × ch"
    ):
        run_onnx(opened, np.concatenate((sent, sent), axis=2))
    with pytest.raises(DoesNotFit, match="messages: got 2147483648 at"):
        run_onnx(opened, sent + 2**31 - sent)
    with pytest.raises(ValueError, match="seed: got -1, need 0 to"):
        run_onnx(opened, sent, seed=-1)
    with pytest.raises(DoesNotFit, match="first_trial: got 4294967295, need 0 to"):
        run_onnx(opened, sent, first_trial=2**32 - 1)
    with pytest.raises(ValueError, match=r"f: got shape \(3,\), need \(2, 11\)"):
        run_onnx(opened, sent, f=np.zeros(3))
    with pytest.raises(DoesNotFit, match="threads: got 0, need 1 to 1024"):
        open_model(fixed_to_onnx(net), threads=0)
    state = run_onnx(opened, sent).state
    with pytest.raises(ValueError, match=r"state.u: got shape \(2, 11\), need \(1, 11"):
        run_onnx(opened, sent[:, :1], state=state)


def test_an_error_about_a_file_names_it(net, runtime, tmp_path):
    model = fixed_to_onnx(net)
    for entry in model.metadata_props:
        if entry.key == "dt":
            entry.value = "{"
    path = tmp_path / "odd.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UnreadableFile, match=r"odd\.onnx: metadata_props: got .* JSON"):
        open_model(path)
