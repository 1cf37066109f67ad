"""Several devices, several processes, and many independent runs."""

from .._internal.lazy import submodules as _submodules
from .launchers import AbstractLauncher as AbstractLauncher
from .launchers import Joblib as Joblib
from .launchers import Submitit as Submitit
from .mesh import device_grid as device_grid
from .mesh import device_mesh as device_mesh
from .mesh import local_copy as local_copy
from .mesh import place_on_mesh as place_on_mesh
from .mesh import replicate as replicate
from .mesh import shard_layers as shard_layers
from .processes import ProcessLost as ProcessLost
from .processes import join as join

__getattr__ = _submodules(__name__, "sharded_checkpoint")
