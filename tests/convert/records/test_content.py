import dataclasses
import re

import numpy as np

from isotau.convert.records.content import RecordContent
from isotau.convert.records.spikes import Spikes

SPIKES = Spikes(
    bits=np.arange(8, dtype=np.uint8).reshape(4, 2, 1) & 7, n=3, dt=1e-3, engine="other"
)


def test_a_fingerprint_is_made_once_and_anew_for_a_changed_copy(monkeypatch):
    record = dataclasses.replace(SPIKES)
    first = record.fingerprint
    monkeypatch.setattr(RecordContent, "flatten", None)  # a second hash would need it
    assert record.fingerprint == first
    monkeypatch.undo()
    assert dataclasses.replace(record, engine="another").fingerprint != first


def test_fingerprint_depends_on_every_bit():
    changed = {
        "network": "m",
        "dt": 0.0010000000000000002,
        "bits": SPIKES.bits ^ np.uint8(1),
        "n": 4,
    }
    prints = {SPIKES.fingerprint}
    for name, value in changed.items():
        prints.add(dataclasses.replace(SPIKES, **{name: value}).fingerprint)
    assert len(prints) == 5
    assert all(re.fullmatch("[0-9a-f]{64}", text) for text in prints)
