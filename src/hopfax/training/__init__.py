"""Training: a state, a step, a loop compiled over many steps, evaluation, and runs in a folder."""

from .evaluation import Evaluation as Evaluation
from .evaluation import evaluate as evaluate
from .loggers import AbstractLogger as AbstractLogger
from .loggers import open_loggers as open_loggers
from .loggers import watching as watching
from .loop import Block as Block
from .loop import blocks as blocks
from .loop import fit as fit
from .recipes import Recipe as Recipe
from .run import Diverged as Diverged
from .run import check_recipe as check_recipe
from .run import train as train
from .state import Totals as Totals
from .state import TrainState as TrainState
from .step import Trainer as Trainer
from .step import make_step as make_step
from .warm_starts import WarmStarts as WarmStarts
