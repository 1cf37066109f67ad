"""The errors of the data layer."""


class DataError(ValueError):
    """A data file or data set is damaged, not the expected one, or cannot be obtained.

    The message names the file, what is wrong with it and what to do.
    """


class MissingDataError(DataError):
    """A data file is not on this machine, and may not or could not be downloaded."""
