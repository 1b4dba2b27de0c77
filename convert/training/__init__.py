"""Training rate networks, many at once, in torch."""

from isotau.convert.training.config import TrainConfig as TrainConfig
from isotau.convert.training.loop import train as train
from isotau.convert.training.loop import train_many as train_many
from isotau.convert.training.state import Evaluation as Evaluation
from isotau.convert.training.state import Trained as Trained
from isotau.convert.training.truncate import truncate as truncate
