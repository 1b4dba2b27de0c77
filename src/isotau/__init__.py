"""isotau: trained rate RNNs on neuromorphic hardware, their timescales measured.

Everywhere time is the first axis, batch the second and neuron the last; weights are
post × pre; units are SI. The public names stand in `__init__.pyi`, where editors and
type checkers read them; each is imported when it is first used, so that `import isotau`
waits for neither torch, Norse, scipy nor Lava.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, _public_names, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __dir__() -> list[str]:
    """Return every public name, whether it has been imported or not."""
    return [*_public_names(), "__version__"]
