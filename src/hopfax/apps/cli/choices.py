"""What the options of `hopfax train` choose: a task, a recipe, a network and a gradient by name."""

import enum
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ...data import Dataset
    from ...training import AbstractJob
    from ...training.architecture import LayerSize

AS_RECIPE = "Default: that of the recipe."

JobFactory = Callable[["Dataset"], "AbstractJob"]
"""Makes the job of the chosen settings on a data set."""


class TaskName(enum.StrEnum):
    """What is learned of the images."""

    classification = "classification"
    completion = "completion"


def task_of(config: Mapping[str, Any]) -> TaskName:
    """The task of a stored run with these settings; those of a classifier do not name it."""
    completes = config.get("task") == TaskName.completion
    return TaskName.completion if completes else TaskName.classification


TASKS = """\
classification: the label.

completion: the pixels that are missing. --layers are the pixels and the hidden neurons, such as 784,512; --network,
--model, --recipe, --validation and --shuffle are for classification, and --components is for completion.
"""


class RecipeName(enum.StrEnum):
    """The recipes of `hopfax.training.recipes`."""

    goemaere2023 = "goemaere2023"
    goemaere2024 = "goemaere2024"
    goemaere_ep = "goemaere_ep"
    low_feedback = "low_feedback"
    conv = "conv"


RECIPES = """\
goemaere2023: the workshop paper of 2023, for three layers, without biases.

goemaere2024: the paper of 2024, for any number of layers.

goemaere_ep: those of the papers with a linear output, by equilibrium propagation.

low_feedback: ours; ReLU, cross-entropy, Adam, a feedback of 0.03. The most accurate.

conv: ours for convolutional networks; the same with a learning rate of 0.003.
"""


class NetworkName(enum.StrEnum):
    """Dense layers, or the convolutional networks of `hopfax.training.conv_layers`."""

    dense = "dense"
    conv = "conv"
    conv_pool = "conv_pool"
    conv3 = "conv3"
    vgg5 = "vgg5"


NETWORKS = """\
dense: the layers of --layers.

conv: convolutions 5 x 5 to 32 and 3 x 3 to 64 channels, of stride 2.

conv_pool: the same of stride 1, with average pooling.

conv3: three convolutions 3 x 3 of stride 2, to 32, 64 and 128 channels.

vgg5: four convolutions 3 x 3 with max-pooling, to 128, 256, 512 and 512 channels, for images of 32 x 32.

All end with one dense layer of the classes. Use them with --recipe conv.
"""


class GradientName(enum.StrEnum):
    """How the gradient of the cost at the equilibrium is computed."""

    ep = "ep"
    implicit = "implicit"
    recurrent = "recurrent"


GRADIENTS = """\
ep: equilibrium propagation.

implicit: implicit differentiation, with a linear solve for the adjoint.

recurrent: recurrent backpropagation, with a fixed number of steps, as in the papers.
"""


class Choice(NamedTuple):
    """The values of the options that choose what is trained.

    `changes` are those of single settings of a recipe by the name of the setting; None leaves what the recipe has.
    `typed` are the names of the options that were typed, and not left at their defaults.
    """

    recipe: RecipeName | None
    layers: tuple["LayerSize", ...]
    model: str | None
    gradient: GradientName | None
    beta: float | None
    standardise: bool
    components: int | None
    changes: Mapping[str, Any]
    typed: set[str]
