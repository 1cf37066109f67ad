"""Contests: what is timed is checked, ours is the measure, and absent libraries stay away."""

import json
import time

import pytest
from typer.testing import CliRunner

from hopfax.apps.bench import CONTESTS, Contest, Entry, Peers, draw, hold, markdown
from hopfax.apps.bench.timing import interleaved
from hopfax.apps.cli.app import app, run


def contest(theirs: float, remark: str = "theirs does less") -> Contest:
    """Sleepers: ours takes 2 ms, theirs so many."""

    def sleeper(milliseconds):
        return lambda: time.sleep(1e-3 * milliseconds) or milliseconds

    check = lambda slept: {"slept": slept}
    entries = {
        "hopfax": Entry(sleeper(2), check, ours=True),
        "theirs": Entry(sleeper(theirs), check, "a note"),
    }
    return Contest("sleep", "sleeping", "hopfax", lambda peers: entries, remark)


def test_times_are_against_ours_and_results_are_checked():
    outcome = hold(contest(theirs=40), Peers(), rounds=3)
    ours, theirs = outcome.rows
    assert ours.times_ours == 1
    assert theirs.check == {"slept": 40}
    assert outcome.leads
    assert outcome.remark == ""
    assert "No other library was faster" in markdown([outcome])


def test_a_faster_contestant_is_owned_up_to(tmp_path):
    outcome = hold(contest(theirs=0), Peers(), rounds=3)
    assert not outcome.leads
    page = markdown([outcome])
    assert "theirs does less" in page
    assert "| a note |" in page
    assert draw([outcome], tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_contestants_take_turns():
    order = []
    interleaved({name: lambda name=name: order.append(name) for name in "ab"}, rounds=2)
    assert "".join(order) == "aabb" + "abab"


def test_too_few_rounds_are_refused():
    with pytest.raises(ValueError, match="rounds=1"):
        interleaved({}, rounds=1)


def test_nobody_takes_part_unasked():
    assert not Peers().has("numpy")
    assert Peers(wanted=True).has("numpy")
    assert not Peers(wanted=True).has("numpy", "no_such_library")


def test_folders_are_looked_at_first(tmp_path):
    with pytest.raises(ValueError, match="clone"):
        Peers(True, {"hopdeq": tmp_path / "none"})
    with pytest.raises(ValueError, match="other"):
        Peers(True, {"other": tmp_path})


def test_the_command_writes_all_it_promises(tmp_path):
    found = CliRunner().invoke(app, ["bench", "--only", "relax", "--rounds", "2", "--out", str(tmp_path)])
    assert found.exit_code == 0, found.output
    result = json.loads((tmp_path / "peers.json").read_text())
    rows = result["contests"][0]["rows"]
    assert [row["contestant"] for row in rows] == ["hopfax, even-odd Picard", "hopfax, guarded Anderson"]
    assert all(row["check"]["largest difference from the equilibrium"] < 1e-3 for row in rows)
    assert {path.name for path in tmp_path.iterdir()} == {"peers.json", "peers.md", "peers.png"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "nothing"], "choose from"),
        (["--hopdeq", "."], "--peers"),
        (["--only", "relax", "--rounds", "0"], "--rounds 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, said, capsys):
    assert run(["bench", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_all_contests_are_described():
    assert set(CONTESTS) == {"relax", "solve", "train", "propagate", "recall"}
    assert all(contest.name == name and contest.work for name, contest in CONTESTS.items())
