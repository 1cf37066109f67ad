"""hopfax beside other libraries: same work, same run, medians and ratios, correctness beside the time."""

from .contest import Contest as Contest
from .contest import Entry as Entry
from .contest import Outcome as Outcome
from .contest import Timing as Timing
from .contest import hold as hold
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

CONTESTS: dict[str, Contest] = {
    contest.name: contest for contest in (RELAXING, SOLVING, TRAINING, PROPAGATING, RECALLING)
}
