"""Processes with known timescales: data for estimators, and the exact answer."""

from benchmarks.synthetic.branching import branching as branching
from benchmarks.synthetic.doubly_stochastic import (
    doubly_stochastic as doubly_stochastic,
)
from benchmarks.synthetic.gaussian import binned_ou as binned_ou
from benchmarks.synthetic.gaussian import (
    ornstein_uhlenbeck as ornstein_uhlenbeck,
)
from benchmarks.synthetic.gaussian import (
    ou_with_oscillation as ou_with_oscillation,
)
from benchmarks.synthetic.gaussian import (
    two_timescale_ou as two_timescale_ou,
)
from benchmarks.synthetic.hawkes import hawkes as hawkes
from benchmarks.synthetic.hawkes import hawkes_benchmark as hawkes_benchmark
from benchmarks.synthetic.lif_driven import lif_membrane as lif_membrane
from benchmarks.synthetic.lif_driven import lif_spikes as lif_spikes
from benchmarks.synthetic.linear_networks import (
    linear_network as linear_network,
)
from benchmarks.synthetic.linear_networks import (
    tanh_network as tanh_network,
)
from benchmarks.synthetic.rate_laws import log_gaussian as log_gaussian
from benchmarks.synthetic.rate_laws import rectified as rectified
from benchmarks.synthetic.renewal import gamma_renewal as gamma_renewal
from benchmarks.synthetic.renewal import poisson as poisson
from benchmarks.synthetic.synaptic_noise import (
    synaptic_noise as synaptic_noise,
)
from benchmarks.synthetic.truth import Generated as Generated
from benchmarks.synthetic.truth import Truth as Truth
