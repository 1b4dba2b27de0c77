"""Both errors are ValueErrors, so that a caller may catch either way."""

import json

import numpy as np
import pytest

from isotau.convert.ground.errors import (
    CannotExport,
    DoesNotFit,
    Finding,
    Severity,
    UnreadableFile,
    as_json,
    describe_findings,
    error,
    exit_status,
    info,
    list_errors,
    neuron_range,
    of_severity,
    warning,
)


@pytest.mark.parametrize("error", [DoesNotFit, UnreadableFile])
def test_own_errors_are_value_errors(error):
    with pytest.raises(ValueError, match="why"):
        raise error("why")


def test_own_errors_are_apart():
    assert not issubclass(DoesNotFit, UnreadableFile)
    assert not issubclass(UnreadableFile, DoesNotFit)


NOTE = Finding(Severity.INFO, "readout", "got a, need b", "runs off the chip")
LOSS = Finding(Severity.WARNING, "neuron 3", "got 40 profiles, need 32", "grouped")
LACK = Finding(Severity.ERROR, "blocks[1]", "got a delay of 9, need 0", "remove it")


def test_exit_status_is_that_of_the_worst():
    assert exit_status([]) == exit_status([NOTE]) == 0
    assert exit_status([NOTE, LOSS]) == 1
    assert exit_status([LACK, NOTE, LOSS]) == 2


def test_the_worst_come_first_and_none_is_left_out():
    lines = describe_findings([NOTE, LACK, LOSS]).splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "warning", "info"]
    assert lines[1] == "warning: neuron 3: got 40 profiles, need 32; grouped"
    assert describe_findings([]) == ""


def test_findings_are_made_by_severity_on_text_or_on_neurons():
    assert info(NOTE.place, NOTE.message, NOTE.action) == NOTE
    mask = np.arange(5) == 3
    assert warning(mask, LOSS.message, LOSS.action) == LOSS
    assert error(LACK.place, LACK.message, LACK.action) == LACK


def test_errors_stand_in_one_line():
    assert list_errors([NOTE, LACK, LOSS]) == (
        "blocks[1]: got a delay of 9, need 0; remove it"
    )
    assert list_errors([LACK, LACK]).count(" | ") == 1


def test_json_is_plain():
    (entry,) = json.loads(json.dumps(as_json([LACK])))
    assert entry == {
        "severity": "error",
        "place": "blocks[1]",
        "message": "got a delay of 9, need 0",
        "action": "remove it",
    }


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        ([3, 4, 5, 12], "neurons 3-5, 12"),
        ([7], "neuron 7"),
        ([2, 2, 0], "neurons 0, 2"),
        (np.array([True, True, False, True]), "neurons 0-1, 3"),
        (np.zeros(4, dtype=bool), "no neuron"),
    ],
)
def test_neurons_are_named_in_runs(chosen, text):
    assert neuron_range(chosen) == text


def test_cannot_export_names_every_error_and_keeps_all():
    other = Finding(Severity.ERROR, "noise_exp", "got noise, need none", "set to None")
    error = CannotExport("ONNX", [NOTE, LACK, LOSS, other])
    assert str(error) == (
        "ONNX: cannot export: blocks[1]: got a delay of 9, need 0; remove it | "
        "noise_exp: got noise, need none; set to None"
    )
    assert error.findings == (NOTE, LACK, LOSS, other)
    assert of_severity(error.findings, Severity.WARNING) == [LOSS]
