"""Processes with known timescales: data for estimators, and the exact answer."""

from isotau.sim.timescales.generators.branching import branching as branching
from isotau.sim.timescales.generators.doubly_stochastic import (
    doubly_stochastic as doubly_stochastic,
)
from isotau.sim.timescales.generators.gaussian import binned_ou as binned_ou
from isotau.sim.timescales.generators.gaussian import (
    ornstein_uhlenbeck as ornstein_uhlenbeck,
)
from isotau.sim.timescales.generators.gaussian import (
    ou_with_oscillation as ou_with_oscillation,
)
from isotau.sim.timescales.generators.gaussian import (
    two_timescale_ou as two_timescale_ou,
)
from isotau.sim.timescales.generators.hawkes import hawkes as hawkes
from isotau.sim.timescales.generators.hawkes import hawkes_benchmark as hawkes_benchmark
from isotau.sim.timescales.generators.lif_driven import lif_membrane as lif_membrane
from isotau.sim.timescales.generators.lif_driven import lif_spikes as lif_spikes
from isotau.sim.timescales.generators.linear_networks import (
    linear_network as linear_network,
)
from isotau.sim.timescales.generators.linear_networks import (
    tanh_network as tanh_network,
)
from isotau.sim.timescales.generators.rate_laws import log_gaussian as log_gaussian
from isotau.sim.timescales.generators.rate_laws import rectified as rectified
from isotau.sim.timescales.generators.renewal import gamma_renewal as gamma_renewal
from isotau.sim.timescales.generators.renewal import poisson as poisson
from isotau.sim.timescales.generators.synaptic_noise import (
    synaptic_noise as synaptic_noise,
)
from isotau.sim.timescales.generators.truth import Generated as Generated
from isotau.sim.timescales.generators.truth import Truth as Truth
