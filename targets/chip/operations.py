"""What one operation costs on Loihi 1: published energies and times, as ranges.

Two sources, which differ by what they are. Davies et al. 2018, table 2
(doi:10.1109/MM.2018.112130359): simulated before silicon, at 0.75 V, and said to agree
with early silicon. SANA-FE (Boyle et al. 2025, doi:10.1109/TCAD.2025.3537971; its
`sanafe/examples/loihi.yaml`): regressions on measurements of a Nahuku board.
"""

from dataclasses import dataclass

DAVIES = "Davies et al. 2018, doi:10.1109/MM.2018.112130359, table 2"
SANA_FE = (
    "SANA-FE, doi:10.1109/TCAD.2025.3537971, sanafe/examples/loihi.yaml (measured)"
)
FRADY = "Frady et al. 2020, doi:10.1145/3381755.3398695, table 1 (measured)"


@dataclass(frozen=True, slots=True)
class Figure:
    """A published number: lowest and highest value, and where they are from."""

    low: float
    high: float
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Operations:
    """What one operation takes, in joules or seconds.

    Attributes:
        synapse_j: reading one entry of a synapse list and adding it.
        silent_update_j: updating a neuron that does not spike.
        spiking_update_j: updating one that does.
        spike_j: issuing a spike, on top of the update.
        message_j: sending one spike message to one core.
        hop_east_west_j: passing one message to the next tile in a row.
        hop_north_south_j: passing one message to the next tile in a column.
        synapse_s: time of `synapse_j`; likewise the next three.
        silent_update_s: see `synapse_s`.
        spiking_update_s: see `synapse_s`.
        spike_s: see `synapse_s`.
        message_out_s: time that the sending core spends on a message.
        message_in_s: time that the receiving core spends on it.
        barrier_s: synchronizing all cores of one chip at the end of a step.
        static_w: leakage of one chip, in watts.
    """

    synapse_j: Figure
    silent_update_j: Figure
    spiking_update_j: Figure
    spike_j: Figure
    message_j: Figure
    hop_east_west_j: Figure
    hop_north_south_j: Figure
    synapse_s: Figure
    silent_update_s: Figure
    spiking_update_s: Figure
    spike_s: Figure
    message_out_s: Figure
    message_in_s: Figure
    barrier_s: Figure
    static_w: Figure


LOIHI1_OPERATIONS = Operations(
    synapse_j=Figure(
        23.6e-12, 35.5e-12, f"{DAVIES} (minimum); {SANA_FE}, dense (sparse: 33.6 pJ)"
    ),
    silent_update_j=Figure(
        52e-12,
        81e-12,
        f"{DAVIES}, inactive and active; {SANA_FE} lies between (72.8 pJ)",
    ),
    spiking_update_j=Figure(81e-12, 81e-12, f"{DAVIES}, active"),
    spike_j=Figure(0.0, 69.3e-12, f"not told apart in {DAVIES}; {SANA_FE}"),
    message_j=Figure(1.7e-12, 111e-12, f"{DAVIES}, within a tile; {SANA_FE}"),
    hop_east_west_j=Figure(3.0e-12, 3.0e-12, f"{DAVIES}; {SANA_FE}"),
    hop_north_south_j=Figure(4.0e-12, 4.2e-12, f"{DAVIES}; {SANA_FE}"),
    synapse_s=Figure(
        3.5e-9, 4.7e-9, f"{DAVIES} (maximum); {SANA_FE}, sparse (dense: 3.8 ns)"
    ),
    silent_update_s=Figure(5.3e-9, 9.7e-9, f"{DAVIES}, inactive; {SANA_FE}"),
    spiking_update_s=Figure(8.4e-9, 9.7e-9, f"{DAVIES}, active; {SANA_FE}"),
    spike_s=Figure(0.0, 30.0e-9, f"not told apart in {DAVIES}; {SANA_FE}"),
    message_out_s=Figure(0.0, 5.1e-9, f"not in {DAVIES}; {SANA_FE}"),
    message_in_s=Figure(0.0, 16.0e-9, f"not in {DAVIES}; {SANA_FE}"),
    barrier_s=Figure(
        113e-9, 1.8e-6, f"{DAVIES}, one tile (32 tiles: 465 ns); {SANA_FE}, 29 tiles"
    ),
    static_w=Figure(
        3.34 / 32, 3.34 / 32, f"{FRADY}: 3.34 W for 32 chips, voltage not stated"
    ),
)
