"""The ways to find gradients, by name."""

from collections.abc import Callable

from isotau.convert.tuning.bptt import BPTT
from isotau.convert.tuning.config import TuneConfig
from isotau.convert.tuning.eprop import EProp
from isotau.convert.tuning.eventprop import EventProp
from isotau.convert.tuning.fptt import FPTT
from isotau.convert.tuning.learner import Method

METHODS: dict[str, Callable[[TuneConfig], Method]] = {
    "bptt": lambda _: BPTT(),
    "eprop": lambda _: EProp(),
    "eventprop": lambda _: EventProp(),
    "fptt": lambda _: FPTT(),
}
