"""Names of users: each cell of the table of who is let in, and what no sequence of events may do."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.shared.trust.admission import TABLE, Mode, Policy, Refusal, decide
from parley.shared.trust.assurance import Basis
from parley.shared.trust.claims import AGAIN, LAPSE
from parley.shared.trust.devices import Device, How
from parley.shared.trust.guesses import FREE_TRIES, Guesses
from parley.shared.trust.names import (
    MOST_CLAIMS,
    Change,
    Comer,
    Name,
    State,
    approved,
    changed,
    comer_of,
    is_fresh,
    lapsed,
    mail_is_over,
    owned_by,
    reset,
    revoked,
    state_of,
    withholds_mail,
)
from parley.shared.trust.plain_names import HELD

KEY, OTHER, THIRD = (bytes([n]) * 32 for n in (1, 2, 3))

# Mode mixed: who comes, the state of the name, then the verdict under claim, approve, account, open.
MIXED = """
PLAIN            FREE        plain+NOTE_PLAIN   APPROVAL_NEEDED       NO_ACCOUNT  plain+NOTE_PLAIN
PLAIN            CLAIMED     plain+NOTE_PLAIN   APPROVAL_NEEDED       NO_ACCOUNT  plain+NOTE_PLAIN
PLAIN            PLAIN_HELD  plain+NOTE_PLAIN   =                     =           =
PLAIN            SHARED      plain+NOTE_PLAIN   =                     =           =
PLAIN            OWNED       NAME_TAKEN         =                     =           =
KNOWN_KEY        FREE        -                  =                     =           =
KNOWN_KEY        CLAIMED     -                  =                     =           =
KNOWN_KEY        PLAIN_HELD  -                  =                     =           =
KNOWN_KEY        SHARED      -                  =                     =           =
KNOWN_KEY        OWNED       seen+USE           =                     =           =
CLAIMED_KEY      FREE        -                  =                     =           =
CLAIMED_KEY      CLAIMED     seen+OWN           APPROVAL_NEEDED+USE   NO_ACCOUNT  shared+USE
CLAIMED_KEY      PLAIN_HELD  -                  =                     =           =
CLAIMED_KEY      SHARED      shared+USE         APPROVAL_NEEDED+USE   NO_ACCOUNT  shared+USE
CLAIMED_KEY      OWNED       NEW_DEVICE         =                     =           =
NEW_KEY          FREE        seen+OWN           APPROVAL_NEEDED+ASK   NO_ACCOUNT  shared+NONE
NEW_KEY          CLAIMED     shared+SHARE       APPROVAL_NEEDED+ASK   NO_ACCOUNT  shared+NONE
NEW_KEY          PLAIN_HELD  shared+SHARE       APPROVAL_NEEDED+ASK   NO_ACCOUNT  shared+NONE
NEW_KEY          SHARED      shared+SHARE       APPROVAL_NEEDED+ASK   NO_ACCOUNT  shared+NONE
NEW_KEY          OWNED       NEW_DEVICE         =                     =           =
REVOKED_KEY      *           REVOKED            =                     =           =
SESSION          FREE        SESSION_OVER       =                     =           =
SESSION          CLAIMED     SESSION_OVER       =                     =           =
SESSION          PLAIN_HELD  SESSION_OVER       =                     =           =
SESSION          SHARED      SESSION_OVER       =                     =           =
SESSION          OWNED       session+NONE       =                     =           =
DEAD_SESSION     *           SESSION_OVER       =                     =           =
PASSWORD         FREE        PASSWORD_WRONG     =                     =           =
PASSWORD         CLAIMED     PASSWORD_WRONG     =                     =           =
PASSWORD         PLAIN_HELD  PASSWORD_WRONG     =                     =           =
PASSWORD         SHARED      PASSWORD_WRONG     =                     =           =
PASSWORD         OWNED       session+NONE       =                     =           =
PASSWORD_AND_KEY FREE        PASSWORD_WRONG     =                     =           =
PASSWORD_AND_KEY CLAIMED     PASSWORD_WRONG     =                     =           =
PASSWORD_AND_KEY PLAIN_HELD  PASSWORD_WRONG     =                     =           =
PASSWORD_AND_KEY SHARED      PASSWORD_WRONG     =                     =           =
PASSWORD_AND_KEY OWNED       session+ADD_DEVICE =                     =           =
PASSWORD_WRONG   *           PASSWORD_WRONG     =                     =           =
"""


POLICIES = (Policy.CLAIM, Policy.APPROVE, Policy.ACCOUNT, Policy.OPEN)


def _cells():
    for line in filter(None, MIXED.splitlines()):
        comer, state, *words = line.split()
        for each in State if state == "*" else [State[state]]:
            for policy, word in zip(
                (Policy.CLAIM, Policy.APPROVE, Policy.ACCOUNT, Policy.OPEN), words, strict=True
            ):
                yield Comer[comer], each, policy, words[0] if word == "=" else word


CELLS = list(_cells())


def _word(verdict):
    if verdict.is_in:
        return f"{verdict.basis.value}+{verdict.change.name}"
    change = "" if verdict.change is Change.NONE else f"+{verdict.change.name}"
    return verdict.refusal.name + change


def test_the_table_of_this_test_has_every_cell_once():
    assert len(CELLS) == len({cell[:3] for cell in CELLS}) == len(Comer) * len(State) * len(Policy)


@pytest.mark.parametrize(("comer", "state", "policy", "expected"), CELLS)
def test_each_cell_in_mixed_and_in_strict(comer, state, policy, expected):
    if expected == "-":
        for mode in (Mode.MIXED, Mode.STRICT):
            with pytest.raises(KeyError):
                decide(comer, state, policy, mode)
        return
    assert _word(decide(comer, state, policy, Mode.MIXED)) == expected
    strict = "PLAIN_REFUSED" if comer is Comer.PLAIN else expected
    assert _word(decide(comer, state, policy, Mode.STRICT)) == strict


@pytest.mark.parametrize(("comer", "state", "policy", "_expected"), CELLS)
def test_in_mode_open_everybody_is_let_in_as_before(comer, state, policy, _expected):
    verdict = decide(comer, state, policy, Mode.OPEN)
    assert verdict.basis is Basis.PLAIN
    assert verdict.change is (Change.NONE if state is State.OWNED else Change.NOTE_PLAIN)


def test_no_cell_is_both_in_and_out():
    for cell in itertools.chain.from_iterable(row.values() for row in TABLE.values()):
        for verdict in cell.values() if isinstance(cell, dict) else [cell]:
            assert (verdict.basis is None) != (verdict.refusal is None)


# States ---------------------------------------------------------------------------------------------------


def test_a_name_is_plain_held_for_thirty_days():
    name = changed(Name("alice"), Change.NOTE_PLAIN, b"", 100.0, 0)
    assert state_of(name, 100.0 + HELD - 1, mail_waits=False) is State.PLAIN_HELD
    assert state_of(name, 100.0 + HELD, mail_waits=False) is State.FREE


def test_waiting_mail_holds_a_name_for_programs_without_a_key():
    assert state_of(Name("alice"), 0.0, mail_waits=True) is State.PLAIN_HELD


def test_the_first_key_owns_a_free_name_and_others_are_new_devices():
    name = changed(Name("alice"), Change.OWN, KEY, 5.0, 1)
    assert (name.number, name.owners[0].device.how) == (1, How.CLAIMED)
    assert state_of(name, 5.0, mail_waits=False) is State.OWNED
    assert [comer_of(name, key) for key in (KEY, OTHER, b"")] == [Comer.KNOWN_KEY, Comer.NEW_KEY, Comer.PLAIN]


def test_a_sole_claim_owns_the_name_once_no_plain_program_uses_it_any_more_and_one_of_several_does_not():
    name = changed(Name("alice", plain_at=0.0), Change.SHARE, KEY, 10.0, 1)
    assert state_of(name, HELD - 1, mail_waits=False) is State.SHARED
    assert state_of(name, HELD, mail_waits=False) is State.CLAIMED
    name = changed(name, Change.SHARE, OTHER, 20.0, 1)
    assert state_of(name, HELD, mail_waits=False) is State.SHARED


def test_no_more_than_so_many_claims_are_noted():
    name = Name("alice", plain_at=0.0)
    for number in range(MOST_CLAIMS + 3):
        name = changed(name, Change.SHARE, bytes([number]) * 32, 1.0, 1)
    assert len(name.claims) == MOST_CLAIMS


def test_approval_gives_a_shared_name_to_one_key_alone():
    name = changed(Name("alice", plain_at=0.0), Change.SHARE, KEY, 10.0, 1)
    name = approved(changed(name, Change.SHARE, OTHER, 11.0, 1), OTHER, 12.0, 1)
    assert [owner.key for owner in name.owners] == [OTHER]
    assert name.is_approved
    assert decide(comer_of(name, KEY), State.OWNED, Policy.CLAIM, Mode.MIXED).refusal is Refusal.NEW_DEVICE


def test_a_claim_that_was_never_used_again_lapses_and_one_that_was_stays():
    name = changed(Name("alice"), Change.OWN, KEY, 0.0, 1)
    assert is_fresh(name)
    assert lapsed(name, LAPSE) is name
    gone = lapsed(name, LAPSE + 1)
    assert (gone.is_owned, gone.number) == (False, 2)
    used = changed(name, Change.USE, KEY, AGAIN, 1)
    assert not is_fresh(used)
    assert lapsed(used, 100 * LAPSE) is used
    confirmed = owned_by(name, Device(OTHER, "", 1, How.CONFIRMED), 1.0)
    assert lapsed(confirmed, 100 * LAPSE) is confirmed


def test_a_reset_frees_the_name_marks_it_and_lets_no_earlier_key_back():
    name = changed(Name("alice", password="hash"), Change.ADD_DEVICE, KEY, 0.0, 1)
    gone = reset(name)
    assert state_of(gone, 0.0, mail_waits=False) is State.FREE
    assert (gone.number, gone.sessions_from, gone.reset) == (2, 2, True)
    assert comer_of(gone, KEY) is Comer.REVOKED_KEY
    assert changed(gone, Change.OWN, OTHER, 1.0, 1).owners[0].device.how is How.RESET


def test_a_revoked_key_never_owns_again():
    name = revoked(changed(Name("alice"), Change.OWN, KEY, 0.0, 1), KEY)
    assert name.number == 2
    assert owned_by(name, Device(KEY, "", 1), 1.0) is name
    assert comer_of(name, KEY) is Comer.REVOKED_KEY


def test_mail_from_before_a_claim_waits_for_approval_and_later_mail_does_not():
    name = changed(Name("alice"), Change.SHARE, KEY, 10.0, 1, mail_waits=True)
    assert withholds_mail(name, KEY, mail_waits=True)
    assert not withholds_mail(name, KEY, mail_waits=False)
    assert withholds_mail(Name("alice"), OTHER, mail_waits=True)  # over the limit of claims
    assert not withholds_mail(mail_is_over(name), KEY, mail_waits=True)
    assert not withholds_mail(approved(name, KEY, 11.0, 1), KEY, mail_waits=True)


# Limits ---------------------------------------------------------------------------------------------------


def test_ten_thousand_guesses_of_one_address_are_a_handful_of_tries():
    tries, looked_at = Guesses(), 0
    for guess in range(10_000):
        now = guess * 0.1  # 1,000 seconds
        if not tries.wait("10.0.0.1", now):
            looked_at += 1
            tries.failed("10.0.0.1", now)
    assert looked_at <= FREE_TRIES + 10
    assert not tries.wait("10.0.0.2", 0.0)


def test_wrong_passwords_are_counted_of_so_many_and_no_more():
    tries = Guesses(most=10)
    for number in range(100):
        tries.failed(number, 0.0)
    assert len(tries) == 10


# No sequence of events ------------------------------------------------------------------------------------

EVENTS = st.one_of(
    st.tuples(st.just("come"), st.sampled_from([b"", KEY, OTHER, THIRD]), st.sampled_from(Policy), st.booleans()),
    st.tuples(st.just("later"), st.sampled_from([1.0, AGAIN, LAPSE + 1, HELD + 1])),
    st.tuples(st.just("approve"), st.sampled_from([KEY, OTHER, THIRD])),
    st.tuples(st.just("revoke"), st.sampled_from([KEY, OTHER, THIRD])),
    st.tuples(st.just("reset")),
    st.tuples(st.just("lapse")),
)


class _World:
    """One name, and what may never happen to it."""

    def __init__(self, mode):
        self.name, self.mode, self.age = Name("alice"), mode, 0.0
        self.ever_revoked = set()

    def come(self, key, policy, mail_waits):
        name, age = self.name, self.age
        verdict = decide(comer_of(name, key), state_of(name, age, mail_waits=mail_waits), policy, self.mode)
        self.name = changed(name, verdict.change, key, age, 1, mail_waits=mail_waits)
        assert not (verdict.is_in and key in self.ever_revoked)
        if name.is_owned:
            assert verdict.is_in == (name.owner(key) is not None), "only who owns it is let in"
            assert _keys(self.name) == _keys(name), "and nobody is added"
        elif name.plain_at is not None and age - name.plain_at < HELD:
            assert not self.name.is_owned, "nobody owns a name that a plain program uses"
            assert key or self.mode is Mode.STRICT or verdict.is_in, "nor locks the program out"

    def later(self, seconds):
        self.age += seconds

    def approve(self, key):
        if self.name.claim(key) is not None:
            self.name = approved(self.name, key, self.age, 1)

    def revoke(self, key):
        self.ever_revoked.add(key)
        self.name = revoked(self.name, key)

    def reset(self):
        self.ever_revoked |= _keys(self.name) | {claim.key for claim in self.name.claims}
        self.name = reset(self.name)

    def lapse(self):
        self.name = lapsed(self.name, self.age)


def _keys(name):
    return {owner.key for owner in name.owners}


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS, max_size=40), st.sampled_from([Mode.MIXED, Mode.STRICT]))
def test_no_sequence_lets_a_plain_program_or_another_key_take_an_owned_name(events, mode):
    world = _World(mode)
    for what, *details in events:
        before = world.name
        getattr(world, what)(*details)
        assert world.name.number >= before.number
        if _keys(world.name) != _keys(before):
            assert world.name.number > before.number, "each change of the devices has a number of its own"
