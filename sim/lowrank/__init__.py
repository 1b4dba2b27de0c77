"""Reading a network through its low-rank part: factors, κ, overlaps, dynamics."""

from isotau.sim.lowrank.dynamics import exact as exact
from isotau.sim.lowrank.dynamics import fixed_points as fixed_points
from isotau.sim.lowrank.dynamics import full_modes as full_modes
from isotau.sim.lowrank.factors import Factors as Factors
from isotau.sim.lowrank.factors import factors as factors
from isotau.sim.lowrank.overlaps import overlaps as overlaps
from isotau.sim.lowrank.trajectories import compare_kappa as compare_kappa
from isotau.sim.lowrank.trajectories import kappa as kappa
from isotau.sim.lowrank.trajectories import spiking_kappa as spiking_kappa
