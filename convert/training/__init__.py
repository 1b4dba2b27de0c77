"""Training rate networks, many at once, in torch."""

from isotau.convert.training.parameters import truncate as truncate
from isotau.convert.training.state import Trained as Trained
from isotau.convert.training.state import TrainEvaluation as TrainEvaluation
from isotau.convert.training.train_config import TrainConfig as TrainConfig
from isotau.convert.training.train_loop import train as train
from isotau.convert.training.train_loop import train_many as train_many
