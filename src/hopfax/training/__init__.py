"""Training: a task, a trainer, a loop compiled over many steps, runs in a folder, and evaluation."""

from .._internal.lazy import submodules as _submodules
from .architecture import Architecture as Architecture
from .architecture import conv_layers as conv_layers
from .augmentation import AbstractAugmentation as AbstractAugmentation
from .augmentation import Compose as Compose
from .augmentation import HorizontalFlip as HorizontalFlip
from .augmentation import RandomCrop as RandomCrop
from .chunk import Chunk as Chunk
from .classification import Classification as Classification
from .classifier import ClassificationMetrics as ClassificationMetrics
from .classifier import ClassifierJob as ClassifierJob
from .classifier import train_in_memory as train_in_memory
from .completion import Completion as Completion
from .completion_evaluation import CompletionEvaluation as CompletionEvaluation
from .completion_evaluation import complete as complete
from .completion_evaluation import completion_table as completion_table
from .completion_evaluation import evaluate_completion as evaluate_completion
from .completion_job import CompletionJob as CompletionJob
from .completion_job import CompletionMetrics as CompletionMetrics
from .completion_job import CompletionRecipe as CompletionRecipe
from .evaluation import Evaluation as Evaluation
from .evaluation import evaluate as evaluate
from .job import AbstractJob as AbstractJob
from .job import Diverged as Diverged
from .job import run_and_store as run_and_store
from .job import train as train
from .loggers import AbstractLogger as AbstractLogger
from .loggers import open_loggers as open_loggers
from .loop import fit as fit
from .loop import train_chunks as train_chunks
from .masks import Block as Block
from .masks import FixedGuess as FixedGuess
from .masks import Half as Half
from .masks import Mixture as Mixture
from .masks import ScatteredPixels as ScatteredPixels
from .masks import UniformNoise as UniformNoise
from .recipes import Recipe as Recipe
from .spectral_penalty import SpectralPenalty as SpectralPenalty
from .task import AbstractTask as AbstractTask
from .trainer import Trainer as Trainer
from .trainer import TrainState as TrainState
from .trainer import make_step as make_step
from .warm_starts import WarmStarts as WarmStarts

__getattr__ = _submodules(__name__, "sweeps")
