"""The ways to find gradients, by name."""

from collections.abc import Callable

from isotau.convert.tuning.learner.learner import Method
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.methods.bptt import BPTT
from isotau.convert.tuning.methods.eprop import EProp
from isotau.convert.tuning.methods.eventprop import EventProp
from isotau.convert.tuning.methods.fptt import FPTT

METHODS: dict[str, Callable[[TuneConfig], Method]] = {
    "bptt": lambda _: BPTT(),
    "eprop": lambda _: EProp(),
    "eventprop": lambda _: EventProp(),
    "fptt": lambda _: FPTT(),
}
