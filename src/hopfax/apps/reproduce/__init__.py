"""The papers' tables and figures again: their rows, the runs, one JSON for each, and what is drawn from those."""

from .figures import FIGURES as FIGURES
from .figures import draw as draw
from .page import write_page as write_page
from .results import Result as Result
from .results import packed as packed
from .results import read_results as read_results
from .results import result_path as result_path
from .rows import TABLE1 as TABLE1
from .rows import TABLE2 as TABLE2
from .rows import Experiment as Experiment
from .rows import Published as Published
from .rows import chosen as chosen
from .runner import run_row as run_row
from .table import HEADINGS as HEADINGS
from .table import TableRow as TableRow
from .table import cells as cells
from .table import markdown as markdown
from .table import tabulate as tabulate
