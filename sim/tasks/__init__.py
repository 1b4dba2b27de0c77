"""Tasks: what networks are shown and how their answers are scored."""

from isotau.sim.tasks.dms import DMS_750 as DMS_750
from isotau.sim.tasks.dms import XOR as XOR
from isotau.sim.tasks.dms_lowrank import DMS_LOWRANK as DMS_LOWRANK
from isotau.sim.tasks.dms_lowrank import dms_lowrank as dms_lowrank
from isotau.sim.tasks.fixation import fixation as fixation
from isotau.sim.tasks.go_nogo import GO_NOGO as GO_NOGO
from isotau.sim.tasks.mante import MANTE as MANTE
from isotau.sim.tasks.mante_lowrank import MANTE_LOWRANK as MANTE_LOWRANK
from isotau.sim.tasks.mante_lowrank import mante_lowrank as mante_lowrank
from isotau.sim.tasks.rdm import RDM as RDM
from isotau.sim.tasks.romo import ROMO as ROMO
from isotau.sim.tasks.task import Task as Task
from isotau.sim.tasks.task import lead_in as lead_in

TASKS: dict[str, Task] = {
    "go-nogo": GO_NOGO,
    "xor": XOR,
    "dms-750": DMS_750,
    "mante": MANTE,
    "dms-lowrank": DMS_LOWRANK,
    "rdm": RDM,
    "romo": ROMO,
    "mante-lowrank": MANTE_LOWRANK,
}
"""Every task under its name on the command line; `fixation` is made to measure."""
