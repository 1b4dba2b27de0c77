"""Tasks: what networks are shown and how their answers are scored."""

from isotau.sim.tasks.go_nogo import GO_NOGO as GO_NOGO
from isotau.sim.tasks.task import Task as Task

TASKS: dict[str, Task] = {"go-nogo": GO_NOGO}
"""Every task under its name on the command line."""
