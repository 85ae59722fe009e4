"""How long no process ran, whatever the machine's clock says."""

import pytest

from parley.services.chat.storage.age import LONGEST, gap
from parley.shared.runtime.moments import Moment

DAY = 86400.0
NOW = 1.8e9


@pytest.mark.parametrize(
    ("before", "now", "seconds"),
    [
        (Moment(NOW, 50.0, "a"), Moment(NOW + 90.0, 140.0, "a"), 90.0),
        (Moment(NOW, 50.0, "a"), Moment(NOW + 8 * DAY, 60.0, "b"), 8 * DAY),  # it was off
        (Moment(NOW, 50.0, "a"), Moment(NOW + 8 * DAY, 50.0 + 8 * DAY, "a"), 8 * DAY),
        (Moment(100.0, 50.0, "a"), Moment(NOW, 60.0, "a"), 10.0),  # somebody set it while no process ran
        (Moment(NOW - 8 * DAY, 50.0, "a"), Moment(NOW, 60.0, "a"), 10.0),
        (Moment(NOW, 50.0, "a"), Moment(NOW - 8 * DAY, 60.0, "a"), 10.0),  # back
        (Moment(100.0, 50.0, "a"), Moment(NOW, 5.0, "b"), 0.0),  # it began in 1970, and was started again
        (Moment(NOW, 50.0, "a"), Moment(100.0, 5.0, "b"), 0.0),
        (Moment(NOW, 50.0, "a"), Moment(NOW + 2 * LONGEST, 5.0, "b"), 0.0),
        (Moment(100.0), Moment(NOW, 60.0, "a"), 0.0),  # written by an older Parley, or where no start has a name
        (Moment(NOW), Moment(NOW + DAY, 60.0, "a"), DAY),
        (Moment(NOW, 0.0, ""), Moment(NOW + DAY, 60.0, ""), DAY),
        (Moment(NOW, 50.0, "a"), Moment(NOW + DAY, 10.0, "a"), DAY),  # a container with running time of its own
    ],
)
def test_a_gap_is_believed_where_the_machine_says_the_same_or_it_is_plausible(before, now, seconds):
    assert gap(before, now) == seconds
