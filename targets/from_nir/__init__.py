"""NIR graphs of recurrent LIF neurons → `LIFNetwork`."""

from isotau.targets.from_nir.assembly import Population as Population
from isotau.targets.from_nir.reading import FromNIR as FromNIR
from isotau.targets.from_nir.reading import from_nir as from_nir
from isotau.targets.from_nir.refusal import CannotImport as CannotImport
