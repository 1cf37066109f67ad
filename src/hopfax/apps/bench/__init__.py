"""Benchmarks of hopfax and other libraries: the same work in the same run, with medians, ratios and checks."""

from .benchmark import Benchmark as Benchmark
from .benchmark import BenchmarkResult as BenchmarkResult
from .benchmark import Implementation as Implementation
from .benchmark import Timing as Timing
from .benchmark import run_benchmark as run_benchmark
from .peers import CHECKOUTS as CHECKOUTS
from .peers import PACKAGES as PACKAGES
from .peers import Peers as Peers
from .propagating import PROPAGATING
from .recalling import RECALLING
from .relaxing import RELAXING
from .report import draw as draw
from .report import markdown as markdown
from .solving import SOLVING
from .training import TRAINING

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark for benchmark in (RELAXING, SOLVING, TRAINING, PROPAGATING, RECALLING)
}
