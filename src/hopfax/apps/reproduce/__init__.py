"""The tables and figures of the papers, reproduced: rows, runs, one JSON file for each run, tables and figures."""

from .figures import FIGURES as FIGURES
from .figures import draw as draw
from .results import Result as Result
from .results import pack_histogram as pack_histogram
from .results import read_results as read_results
from .results import result_path as result_path
from .rows import TABLE1 as TABLE1
from .rows import TABLE2 as TABLE2
from .rows import Experiment as Experiment
from .rows import Published as Published
from .rows import select_rows as select_rows
from .runner import run_row as run_row
from .table import HEADINGS as HEADINGS
from .table import TableRow as TableRow
from .table import cells as cells
from .table import fill_page as fill_page
from .table import markdown as markdown
from .table import tabulate as tabulate
from .table import write_page as write_page
