"""Benchmarks: results are checked, times are relative to ours, and absent libraries are left out."""

import json
import time

import pytest
from typer.testing import CliRunner

from hopfax.apps.bench import BENCHMARKS, Benchmark, Implementation, Peers, draw, markdown, run_benchmark
from hopfax.apps.bench.benchmark import BenchmarkResult, Timing, interleaved
from hopfax.apps.cli import run
from hopfax.apps.cli.app import app


def benchmark(theirs: float, remark: str = "theirs does less") -> Benchmark:
    """Implementations that sleep: ours for 2 ms, theirs for so many."""

    def sleeper(milliseconds):
        return lambda: time.sleep(1e-3 * milliseconds) or milliseconds

    check = lambda slept: {"slept": slept}
    implementations = {
        "hopfax": Implementation(sleeper(2), check, ours=True),
        "theirs": Implementation(sleeper(theirs), check, "a note"),
    }
    return Benchmark("sleep", "sleeping", "hopfax", lambda peers: implementations, remark)


def test_times_are_relative_to_ours_and_results_are_checked():
    result = run_benchmark(benchmark(theirs=40), Peers(), rounds=3)
    ours, theirs = result.rows
    assert ours.relative_time == 1
    assert theirs.check == {"slept": 40}
    assert result.fastest
    assert result.remark == ""
    assert "no other library was faster than the first row" in markdown([result])


def test_a_library_as_fast_as_a_further_row_of_ours_is_named():
    times = {"hopfax, fast": 1.0, "hopfax, default": 2.0, "theirs": 2.0, "slow": 3.0}
    rows = tuple(
        Timing("work", name, {"median": t, "lower": t, "upper": t}, t, {}, "") for name, t in times.items()
    )
    page = markdown([BenchmarkResult("work", "working", rows, True, "")])
    assert 'In "work", theirs took 1.00 times as long as hopfax, default.' in page
    assert "slow took" not in page


def test_a_faster_library_is_reported(tmp_path):
    result = run_benchmark(benchmark(theirs=0), Peers(), rounds=3)
    assert not result.fastest
    page = markdown([result])
    assert "theirs does less" in page
    assert "| a note |" in page
    assert draw([result], tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_implementations_take_turns():
    order = []
    interleaved({name: lambda name=name: order.append(name) for name in "ab"}, rounds=2)
    assert "".join(order) == "aabb" + "abab"


def test_too_few_rounds_are_refused():
    with pytest.raises(ValueError, match="rounds=1"):
        interleaved({}, rounds=1)


def test_other_libraries_are_timed_only_if_wanted():
    assert not Peers().has("numpy")
    assert Peers(wanted=True).has("numpy")
    assert not Peers(wanted=True).has("numpy", "no_such_library")


def test_folders_are_checked(tmp_path):
    with pytest.raises(ValueError, match="clone"):
        Peers(True, {"hopdeq": tmp_path / "none"})
    with pytest.raises(ValueError, match="other"):
        Peers(True, {"other": tmp_path})


@pytest.mark.slow
def test_the_command_writes_its_files(tmp_path):
    done = CliRunner().invoke(app, ["bench", "--only", "relax", "--rounds", "2", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "peers.json").read_text())
    rows = result["benchmarks"][0]["rows"]
    assert [row["implementation"] for row in rows] == ["hopfax, even-odd Picard", "hopfax, guarded Anderson"]
    assert all(row["check"]["largest difference from the equilibrium"] < 1e-3 for row in rows)
    assert {path.name for path in tmp_path.iterdir()} == {"peers.json", "peers.md", "peers.png"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "nothing"], "choose from"),
        (["--hopdeq", "."], "--peers"),
        (["--only", "relax", "--rounds", "0"], "--rounds 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message, capsys):
    assert run(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_all_benchmarks_are_described():
    assert set(BENCHMARKS) == {"relax", "solve", "train", "propagate", "recall"}
    assert all(contest.name == name and contest.work for name, contest in BENCHMARKS.items())
