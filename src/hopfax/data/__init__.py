"""Data sets as plain NumPy arrays, read from this machine or downloaded, and checked by hash."""

from .corrupt import corruption_masks as corruption_masks
from .dataset import DataError as DataError
from .dataset import Dataset as Dataset
from .dataset import MissingDataError as MissingDataError
from .dataset import first_of_each_class as first_of_each_class
from .dataset import validation_split as validation_split
from .digits import digits as digits
from .idx import read_idx as read_idx
from .mnist import fashion_mnist as fashion_mnist
from .mnist import load_source as load_source
from .mnist import mnist as mnist
from .registry import DatasetInfo as DatasetInfo
from .registry import available as available
from .registry import fetch as fetch
from .registry import load as load
from .source import FASHION_MNIST as FASHION_MNIST
from .source import MNIST as MNIST
from .source import IdxFile as IdxFile
from .source import Source as Source
