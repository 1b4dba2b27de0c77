import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from isotau.targets.loihi.limits import LIMITS, LOIHI1, LOIHI2
from isotau.targets.loihi.place import (
    as_csv,
    as_json,
    describe_placement,
    place,
    utilization,
)


@pytest.fixture
def net(make_block, make_network):
    n = 40
    return make_network(
        [make_block(np.full((n, n), 4))],
        n,
        du=np.arange(n),
        population=np.arange(n) // 30,
    )


def test_shares_and_what_is_tightest(net):
    first, second = utilization(place(net, LOIHI1))
    assert first.used["neurons"] == 32
    assert first.share["neurons"] == 32 / 1024
    assert first.share["compartment_profiles"] == 1
    assert (first.tightest, first.closed_by) == (
        "compartment_profiles",
        "compartment_profiles",
    )
    assert (first.populations, second.populations) == ((0, 1), (1,))
    # the 8 left share their memory in 40 lists of two words
    assert second.used["memory_bits"] == 40 * 128
    assert second.closed_by == ""


def test_limits_without_a_number_have_no_share(net):
    (row,) = utilization(place(net, LOIHI2))
    assert set(row.share) == {"neurons", "memory_bits"}
    assert row.used["in_axons"] == 40
    text = describe_placement(place(net, LOIHI2))
    assert "no public number, so not checked: delay accumulators, input axons" in text
    assert "lower bound" in text


def test_text(net):
    text = describe_placement(place(net, LOIHI1))
    assert text.startswith(
        "Loihi 1: 40 neurons on 2 of 128 cores (1 chip); tightest: 32 of 32 "
        "compartment profiles"
    )
    assert "32 (100 %)" in text
    assert "and 1 more" in describe_placement(place(net, LOIHI1), rows=1)


def test_text_of_several_chips(net):
    text = describe_placement(place(net, replace(LOIHI1, cores=1), chips=None))
    assert "on 2 of 2 cores (2 chips)" in text
    assert "\n 1:0 " in text


def test_csv_and_json_say_the_same(net):
    placement = place(net, LOIHI1)
    plain = as_json(placement)
    assert json.loads(json.dumps(plain)) == plain
    rows = list(csv.DictReader(io.StringIO(as_csv(placement))))
    assert len(rows) == len(plain) == 2
    for written, row in zip(rows, plain, strict=True):
        for name in LIMITS:
            assert int(written[name]) == row[name]
            assert float(written[f"{name}_share"]) == row[f"{name}_share"]
    assert rows[0]["populations"] == "0 1"
    assert as_json(place(net, LOIHI2))[0]["in_axons_share"] is None
