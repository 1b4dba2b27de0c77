"""Training rate networks, many at once, in torch."""

from isotau.convert.training.config import TrainConfig as TrainConfig
from isotau.convert.training.loop import train as train
from isotau.convert.training.loop import train_many as train_many
from isotau.convert.training.parameters import truncate as truncate
from isotau.convert.training.state import Evaluation as Evaluation
from isotau.convert.training.state import Trained as Trained
