"""What is compared: the same work done by several contestants, timed side by side, each result checked."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from .peers import Peers
from .timing import Times, interleaved, ratio


@dataclasses.dataclass(frozen=True)
class Entry:
    """One contestant.

    Attributes:
        call: does the work once, and waits for it.
        check: what a result of `call` is worth: numbers that say how right it is.
        note: what the reader of its row should know.
        ours: whether it is hopfax's.
    """

    call: Callable[[], Any]
    check: Callable[[Any], Mapping[str, Any]]
    note: str = ""
    ours: bool = False


@dataclasses.dataclass(frozen=True)
class Contest:
    """One kind of work.

    Attributes:
        work: what is done, in a sentence.
        reference: the entry that all others are held against, one of ours.
        enter: the contestants, those of other libraries as far as `Peers` has them.
        slower: why hopfax does not lead, where it does not.
    """

    name: str
    work: str
    reference: str
    enter: Callable[[Peers], Mapping[str, Entry]]
    slower: str = ""


@dataclasses.dataclass(frozen=True)
class Timing:
    """How one contestant did; `times_ours` is its median over that of the contest's reference."""

    contest: str
    contestant: str
    milliseconds: Mapping[str, float]
    times_ours: float
    check: Mapping[str, float]
    note: str


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A contest held: its rows, the reference first, and whether nobody else was faster."""

    contest: str
    work: str
    rows: tuple[Timing, ...]
    leads: bool
    remark: str


def hold(contest: Contest, peers: Peers, rounds: int) -> Outcome:
    """Time all contestants in turn, and check what each gives."""
    entries = contest.enter(peers)
    times = interleaved({name: entry.call for name, entry in entries.items()}, rounds)
    rows = tuple(_row(contest, name, entry, times) for name, entry in entries.items())
    theirs = [row.times_ours for row in rows if not entries[row.contestant].ours]
    leads = all(times >= 1 for times in theirs)
    return Outcome(contest.name, contest.work, rows, leads, "" if leads else contest.slower)


def _row(contest: Contest, name: str, entry: Entry, times: Times) -> Timing:
    check = {what: float(value) for what, value in entry.check(entry.call()).items()}
    slower = ratio(times, name, contest.reference)
    return Timing(contest.name, name, times[name], slower, check, entry.note)
