from dataclasses import fields, replace
from pathlib import Path

import pytest

from isotau.targets.loihi.limits import (
    LIMITS,
    LOIHI1,
    LOIHI1_OPERATIONS,
    LOIHI2,
    limit,
    unknown,
)


@pytest.mark.parametrize("chip", [LOIHI1, LOIHI2])
def test_every_number_has_a_source_and_every_gap_says_so(chip):
    named = {f.name for f in fields(chip)} - {"name", "sources"}
    assert set(chip.sources) == named
    for name in unknown(chip):
        assert "published" in chip.sources[name]
    for name in named - set(unknown(chip)):
        assert not chip.sources[name].startswith("not published;") or (
            "lower bound" in chip.sources[name]
        )


def test_loihi1_is_what_its_paper_says():
    # Davies et al. 2018, p. 86, 89, 92: 128 cores, 1,024 neurons, 128 KB, 4,096 axons
    assert (LOIHI1.cores, LOIHI1.neurons) == (128, 1024)
    assert LOIHI1.cores * LOIHI1.neurons == 131_072
    assert LOIHI1.memory_bits == 128 * 1024 * 8
    assert (LOIHI1.in_axons, LOIHI1.out_axons) == (4096, 4096)
    assert LOIHI1.mesh[0] * LOIHI1.mesh[1] * LOIHI1.cores_per_tile == LOIHI1.cores
    assert LOIHI1.delay_slots // 64 == 128


def test_loihi2_is_what_its_brief_says():
    # 128 cores, 192 KB a core, a million neurons, payloads of 32 bits
    assert LOIHI2.cores * LOIHI2.neurons == 1 << 20
    assert LOIHI2.memory_bits == 192 * 1024 * 8
    assert LOIHI2.message_bits == 32
    assert LOIHI2.operations is None


def test_a_chip_with_other_numbers():
    smaller = replace(LOIHI1, threshold_profiles=7)
    assert limit(smaller, "threshold_profiles") == 7
    assert limit(LOIHI1, "threshold_profiles") == 16
    assert limit(LOIHI2, "in_axons") is None
    assert set(LIMITS) & set(unknown(LOIHI1)) == set()


def test_the_documentation_has_these_numbers():
    text = Path(__file__).resolve().parents[3] / "docs" / "chip.md"
    rows = {}
    for line in text.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0].removesuffix(" (bits)")] = cells[1:]
    names = LIMITS | {"memory_bits": "memory", "cores": "cores on a chip"}
    names |= {"delay_max": "longest delay", "refractory_max": "steps at reset"}
    for name, words in names.items():
        for k, chip in enumerate((LOIHI1, LOIHI2)):
            number = limit(chip, name)
            said = "not published" if number is None else f"{number:,}"
            assert rows[words][k] == said, name


@pytest.mark.parametrize("name", [f.name for f in fields(LOIHI1_OPERATIONS)])
def test_figures_are_ranges_with_a_source(name):
    figure = getattr(LOIHI1_OPERATIONS, name)
    assert 0 <= figure.low <= figure.high
    assert "doi:10." in figure.source
    unit = {"j": (0, 1e-9), "s": (0, 1e-5), "w": (0.01, 1)}[name[-1]]
    assert unit[0] < figure.high < unit[1]


def test_the_figures_of_davies_table_2():
    of = LOIHI1_OPERATIONS
    assert of.synapse_j.low == 23.6e-12
    assert (of.silent_update_j.low, of.spiking_update_j.low) == (52e-12, 81e-12)
    assert of.message_j.low == 1.7e-12
    assert (of.hop_east_west_j.low, of.hop_north_south_j.low) == (3e-12, 4e-12)
    assert of.synapse_s.low == 3.5e-9
    assert (of.silent_update_s.low, of.spiking_update_s.low) == (5.3e-9, 8.4e-9)
    assert of.barrier_s.low == 113e-9
