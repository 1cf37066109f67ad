"""Data sets: found on this machine or downloaded, checked by hash, as plain NumPy arrays."""

from .dataset import Dataset as Dataset
from .dataset import validation_split as validation_split
from .digits import digits as digits
from .errors import DataError as DataError
from .errors import MissingDataError as MissingDataError
from .idx import read_idx as read_idx
from .mnist import fashion_mnist as fashion_mnist
from .mnist import load_source as load_source
from .mnist import mnist as mnist
from .registry import Row as Row
from .registry import available as available
from .registry import fetch as fetch
from .registry import load as load
from .source import FASHION_MNIST as FASHION_MNIST
from .source import MNIST as MNIST
from .source import IdxFile as IdxFile
from .source import Source as Source
