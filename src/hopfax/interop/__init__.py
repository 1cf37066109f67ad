"""hopfax in other libraries: Equinox, Flax, scikit-learn, PyTorch, the Hugging Face hub; and trained networks."""

from .._internal.lazy import submodules as _submodules
from .layer import EquilibriumLayer as EquilibriumLayer
from .layer import as_function as as_function

__getattr__ = _submodules(__name__, "hub", "pretrained", "sklearn", "torch")
