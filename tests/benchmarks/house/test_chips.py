import sys

import pytest

from benchmarks.house.checkout import Checkout
from benchmarks.house.chips import (
    Preparation,
    Watch,
    defined,
    measure_chips,
    of_readme,
    summarize,
)

README = """
Text, and a block that is no Python:

```sh
chip = 1
```

```python
import math
rate = open("absent")
inputs = rate.inputs
run = (lif, inputs)
chip = math.prod(run)
spikes = chip.missing
```
"""


def test_the_lines_of_the_readme_begin_where_the_inputs_are():
    assert of_readme(README, Preparation(2, 3)) == 6


def simulate_lif(net, inputs):
    return net


def quantize(net):
    return net


def test_the_last_network_before_the_first_chip_is_watched():
    watch = Watch()
    sys.setprofile(watch)
    simulate_lif("first", 1)
    simulate_lif("second", inputs=2)
    quantize("second")
    simulate_lif("third", 3)
    quantize("third")
    sys.setprofile(None)
    assert watch.preparation == Preparation("second", 2)


def test_definitions_are_there_wherever_they_stand(tree):
    root = tree(
        {
            "convert/ground/__init__.py": "",
            "convert/ground/errors.py": "x = UnreadableFile\nclass DoesNotFit: ...\n",
            "src/isotau/jobs/a.py": "class Unknown_: ...\n",
        }
    )
    from isotau.convert.ground.errors import DoesNotFit

    assert defined(root, "DoesNotFit") is DoesNotFit
    with pytest.raises(LookupError, match="Unknown: got no definition"):
        defined(root, "Unknown")


def test_different_fingerprints_are_counted():
    digests = {"run": "a", "quantize": "b", "tune": "b"}
    assert summarize(digests) == {"different": 2, "entries": digests}


@pytest.mark.long
def test_one_recipe_leads_from_a_network_to_the_chip():
    entries = measure_chips(Checkout())["entries"]
    assert len(entries) == 5
    # Tuning through the chip's arithmetic begins with biases that were folded into
    # v_leak and rounded again: some end in the neighbouring integer.
    del entries["isotau tune --quantized"]
    assert len(set(entries.values())) == 1
