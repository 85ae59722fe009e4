"""A federation's lists: who may sign, numbers that only grow, and keys that never return."""

import dataclasses

import pytest

from parley.shared.trust.federation import changes, membership
from parley.shared.trust.federation.authority import federation_of, make_signer, short
from parley.shared.trust.federation.changes import FederationRefused, add_signer, admit, revoke, sign
from parley.shared.trust.federation.entries import make_member, make_revocation
from parley.shared.trust.federation.membership import Standing, is_inviter, make_membership
from parley.shared.trust.federation.signed_list import MEMBERS, SIGNERS, Content, SignedList, sign_list
from parley.shared.trust.federation.state import LEAP, Federation, Verdict, begin, found
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.messages import pb

AUTHORITY, ALPHA, BETA, GAMMA, MALLORY, OTHER = (PrivateKey(bytes([n]) * 32) for n in range(1, 7))
ID = federation_of(AUTHORITY.public)
DAY = 20_000


def founded():
    """Alpha's view: it founded the federation and signs."""
    state = found(AUTHORITY.public)
    add_signer(state, AUTHORITY, "alpha", ALPHA.public)
    admit(state, ALPHA, "alpha", ALPHA.public, DAY, "founder")
    sign(state, ALPHA, DAY)
    return state


def joined(state, floor=1):
    """Another server's view, from the newest list."""
    return begin(state.newest, ID, floor)


def with_beta_and_gamma():
    state = founded()
    admit(state, ALPHA, "beta", BETA.public, DAY, "token")
    admit(state, ALPHA, "gamma", GAMMA.public, DAY, "token")
    sign(state, ALPHA, DAY)
    return state


def content_of(state, **changed):
    return dataclasses.replace(state.newest.read(), **changed)


# Lists -------------------------------------------------------------------------------------------------------


def test_a_founded_federation_has_its_founder():
    state = founded()
    assert [one.server_id for one in state.all_members()] == ["alpha"]
    assert (state.number, state.is_signer(ALPHA.public), state.is_signer(BETA.public)) == (1, True, False)
    assert len(short(ID)) == 19


def test_a_new_list_is_taken_by_a_member_and_crosses_the_wire_to_the_byte():
    alpha = founded()
    beta = joined(alpha)
    admit(alpha, ALPHA, "beta", BETA.public, DAY, "token")
    signed = sign(alpha, ALPHA, DAY)
    again = SignedList.of(pb.FederationList.FromString(signed.message().SerializeToString()))
    assert again == signed
    assert beta.take(again) is Verdict.NEW
    assert beta.member_named("BETA").key == BETA.public
    assert beta.take(again) is Verdict.SAME


def test_an_old_list_is_refused_for_ever():
    alpha = with_beta_and_gamma()
    old = alpha.newest
    beta = joined(alpha)
    revoke(alpha, ALPHA, "gamma", GAMMA.public, DAY)
    assert beta.take(sign(alpha, ALPHA, DAY)) is Verdict.NEW
    assert beta.take(old) is Verdict.OLDER
    assert beta.member_of_key(GAMMA.public) is None


def test_a_joiner_believes_no_list_that_is_older_than_its_token():
    alpha = founded()
    old = alpha.newest
    sign(alpha, ALPHA, DAY)
    assert begin(old, ID, floor=2) is None
    assert begin(alpha.newest, ID, floor=2).number == 2


def forged(state):
    return {
        "foreign": lambda: sign_list(ALPHA, content_of(state, authority=OTHER.public, number=9)),
        "renamed": lambda: dataclasses.replace(
            sign_list(ALPHA, content_of(state, authority=OTHER.public, number=9)), federation=ID
        ),
        "stranger": lambda: sign_list(MALLORY, content_of(state, number=9)),
        "own_authority": lambda: sign_list(
            MALLORY,
            content_of(state, number=9, signers=(make_signer(MALLORY, "mallory", MALLORY.public),)),
        ),
        "member": lambda: sign_list(BETA, content_of(state, number=9)),
        "changed": lambda: dataclasses.replace(
            sign_list(ALPHA, content_of(state, number=9)), content=content_of(state, number=9, day=7).encode()
        ),
        "number": lambda: dataclasses.replace(sign_list(ALPHA, content_of(state, number=2)), number=9),
        "cut": lambda: dataclasses.replace(state.newest, number=9, content=state.newest.content[:-1]),
        "nothing": lambda: SignedList(ID, 9, b"", ALPHA.public, b""),
        "huge": lambda: dataclasses.replace(state.newest, number=9, content=b"\0" * (1 << 20 | 1)),
        "leap": lambda: sign_list(ALPHA, content_of(state, number=state.number + LEAP + 1)),
        "crowd": lambda: sign_list(
            ALPHA,
            content_of(state, number=9, members=(state.members["alpha"],) * (MEMBERS + 1)),
        ),
        "short_key": lambda: sign_list(
            ALPHA,
            content_of(state, number=9, members=(dataclasses.replace(state.members["alpha"], key=b"k"),)),
        ),
    }


@pytest.mark.parametrize(
    ("how", "verdict"),
    [
        ("foreign", Verdict.FOREIGN),
        ("renamed", Verdict.MALFORMED),
        ("stranger", Verdict.UNSIGNED),
        ("own_authority", Verdict.UNSIGNED),
        ("member", Verdict.UNSIGNED),
        ("changed", Verdict.UNSIGNED),
        ("number", Verdict.MALFORMED),
        ("cut", Verdict.MALFORMED),
        ("nothing", Verdict.MALFORMED),
        ("huge", Verdict.MALFORMED),
        ("leap", Verdict.LEAP),
        ("crowd", Verdict.MALFORMED),
        ("short_key", Verdict.MALFORMED),
    ],
)
def test_a_list_that_is_not_good_changes_nothing(how, verdict):
    state = with_beta_and_gamma()
    shown = forged(state)[how]()
    before = (state.newest, dict(state.members), dict(state.signers), dict(state.revocations))
    assert state.take(shown) is verdict
    assert (state.newest, state.members, state.signers, state.revocations) == before


def test_an_introducer_cannot_bring_back_the_removed():
    alpha = with_beta_and_gamma()
    gammas_entry = alpha.members["gamma"]
    revoke(alpha, ALPHA, "gamma", GAMMA.public, DAY)
    sign(alpha, ALPHA, DAY)
    add_signer(alpha, AUTHORITY, "beta", BETA.public)
    beta = joined(alpha)
    sign(alpha, ALPHA, DAY)
    beta.take(alpha.newest)
    # Beta signs a newer list with gamma in it, and without gamma's revocation.
    brought_back = sign_list(
        BETA,
        content_of(beta, number=9, members=(*beta.members.values(), gammas_entry), revocations=()),
    )
    assert alpha.take(brought_back) is Verdict.NEW
    assert alpha.member_of_key(GAMMA.public) is None
    assert alpha.member_named("gamma") is None
    assert alpha.is_revoked(GAMMA.public)
    shown = pb.Membership(
        federation=ID, member=gammas_entry.message(), signer=alpha.signers[ALPHA.public].message()
    )
    assert membership.judge(alpha, shown, "gamma", GAMMA.public) is Standing.REVOKED
    with pytest.raises(FederationRefused, match="never returns"):
        admit(alpha, ALPHA, "delta", GAMMA.public, DAY, "token")
    assert GAMMA.public in {one.key for one in sign(alpha, ALPHA, DAY).read().revocations}


# Signers -----------------------------------------------------------------------------------------------------


def test_any_signer_signs_admits_and_revokes_when_the_founder_is_gone():
    alpha = with_beta_and_gamma()
    add_signer(alpha, AUTHORITY, "beta", BETA.public)
    sign(alpha, ALPHA, DAY)
    beta, gamma = joined(alpha), joined(alpha)
    admit(beta, BETA, "delta", OTHER.public, DAY, "token")
    assert gamma.take(sign(beta, BETA, DAY)) is Verdict.NEW
    revoke(beta, BETA, "delta", OTHER.public, DAY)
    assert gamma.take(sign(beta, BETA, DAY)) is Verdict.NEW
    assert gamma.is_revoked(OTHER.public)


def test_a_signer_cannot_revoke_a_signer_and_the_authority_can():
    alpha = with_beta_and_gamma()
    add_signer(alpha, AUTHORITY, "beta", BETA.public)
    sign(alpha, ALPHA, DAY)
    gamma = joined(alpha)
    with pytest.raises(FederationRefused, match="only the authority"):
        revoke(alpha, BETA, "alpha", ALPHA.public, DAY)
    # One that is stolen says so all the same, in a list that it signs.
    stolen = make_revocation(BETA, ID, "alpha", ALPHA.public, DAY)
    assert gamma.take(sign_list(BETA, content_of(gamma, number=9, revocations=(stolen,)))) is Verdict.NEW
    assert gamma.is_signer(ALPHA.public)
    # The authority answers with the number after that.
    alpha.take(gamma.newest)
    revoke(alpha, AUTHORITY, "beta", BETA.public, DAY)
    assert gamma.take(sign(alpha, ALPHA, DAY)) is Verdict.NEW
    assert gamma.is_revoked(BETA.public)
    assert gamma.take(sign_list(BETA, content_of(gamma, number=gamma.number + 1))) is Verdict.UNSIGNED


def test_a_new_member_that_meets_a_revoked_signer_first_is_not_misled():
    alpha = with_beta_and_gamma()
    add_signer(alpha, AUTHORITY, "beta", BETA.public)
    sign(alpha, ALPHA, DAY)
    revoke(alpha, AUTHORITY, "beta", BETA.public, DAY)
    sign(alpha, ALPHA, DAY)
    assert begin(sign_list(BETA, content_of(alpha, number=9)), ID, floor=alpha.number) is None


def test_a_forged_revocation_by_the_authority_is_none():
    alpha = with_beta_and_gamma()
    add_signer(alpha, AUTHORITY, "beta", BETA.public)
    sign(alpha, ALPHA, DAY)
    forged_one = dataclasses.replace(make_revocation(BETA, ID, "alpha", ALPHA.public, DAY), by=AUTHORITY.public)
    many = (forged_one,) * 4096
    assert alpha.take(sign_list(BETA, content_of(alpha, number=9, revocations=many))) is Verdict.NEW
    assert alpha.is_signer(ALPHA.public)


def test_signers_and_members_are_bounded():
    state = founded()
    for number in range(SIGNERS - 1):
        add_signer(state, AUTHORITY, f"s{number}", PrivateKey(bytes([100 + number]) * 32).public)
    with pytest.raises(FederationRefused, match="no room"):
        add_signer(state, AUTHORITY, "last", OTHER.public)
    for number in range(MEMBERS - 1):
        state.add(
            dataclasses.replace(state.members["alpha"], server_id=f"m{number}", key=number.to_bytes(32, "big"))
        )
    with pytest.raises(FederationRefused) as refused:
        admit(state, ALPHA, "last", OTHER.public, DAY, "token")
    assert refused.value.reason == "full"
    assert len(sign(state, ALPHA, DAY).content) < 1 << 20


@pytest.mark.parametrize(
    ("name", "key", "reason"),
    [("BETA", OTHER.public, "taken"), ("delta", BETA.public, "taken"), ("", OTHER.public, "malformed")],
)
def test_a_name_or_a_key_that_is_in_is_admitted_to_nobody_else(name, key, reason):
    with pytest.raises(FederationRefused) as refused:
        admit(with_beta_and_gamma(), ALPHA, name, key, DAY, "token")
    assert refused.value.reason == reason


def test_who_is_in_is_admitted_again_as_before():
    state = with_beta_and_gamma()
    assert admit(state, ALPHA, "beta", BETA.public, DAY + 9, "spoken") == state.members["beta"]


def test_who_is_no_signer_signs_nothing():
    state = with_beta_and_gamma()
    for act in (
        lambda: sign(state, BETA, DAY),
        lambda: admit(state, BETA, "delta", OTHER.public, DAY, "token"),
        lambda: revoke(state, BETA, "gamma", GAMMA.public, DAY),
    ):
        with pytest.raises(FederationRefused) as refused:
            act()
        assert refused.value.reason == "no_signer"
    with pytest.raises(FederationRefused):
        add_signer(state, OTHER, "beta", BETA.public)


# Two signers at once -----------------------------------------------------------------------------------------


def two_signers():
    alpha = with_beta_and_gamma()
    add_signer(alpha, AUTHORITY, "beta", BETA.public)
    sign(alpha, ALPHA, DAY)
    return alpha, joined(alpha), joined(alpha)


def test_two_lists_of_one_number_are_refused_until_a_signer_joins_them():
    alpha, beta, gamma = two_signers()
    admit(alpha, ALPHA, "delta", OTHER.public, DAY, "token")
    revoke(beta, BETA, "gamma", GAMMA.public, DAY)
    of_alpha, of_beta = sign(alpha, ALPHA, DAY), sign(beta, BETA, DAY + 1)
    assert gamma.take(of_alpha) is Verdict.NEW
    assert gamma.take(of_beta) is Verdict.CONFLICT
    assert gamma.newest == of_alpha
    assert gamma.is_revoked(GAMMA.public), "a revocation counts at once"
    assert changes.join_lists(alpha, of_beta)
    assert changes.join_lists(beta, of_alpha)
    both = sign(alpha, ALPHA, max(alpha.day, DAY)), sign(beta, BETA, max(beta.day, DAY))
    assert both[0].content == both[1].content, "both join them in one way"
    assert alpha.take(both[1]) is Verdict.SAME
    assert gamma.take(both[1]) is Verdict.NEW
    assert {one.server_id for one in gamma.all_members()} == {"alpha", "beta", "delta"}


def test_a_signer_that_was_cut_off_admits_again_whom_it_admitted():
    alpha, beta, _ = two_signers()
    own = [admit(beta, BETA, "delta", OTHER.public, DAY, "token")]
    sign(beta, BETA, DAY)
    for _ in range(3):
        sign(alpha, ALPHA, DAY)
    assert beta.take(alpha.newest) is Verdict.NEW
    assert beta.member_named("delta") is None
    assert changes.restore_own(beta, own)
    assert alpha.take(sign(beta, BETA, DAY)) is Verdict.NEW
    assert alpha.member_named("delta").key == OTHER.public
    revoke(alpha, ALPHA, "delta", OTHER.public, DAY)
    beta.take(sign(alpha, ALPHA, DAY))
    assert not changes.restore_own(beta, own), "who was revoked is not admitted again"


def test_the_list_is_signed_again_daily_by_one_signer_after_the_other():
    alpha, _, _ = two_signers()
    first, second = (one.key for one in alpha.current_signers())
    day = changes.RESIGNED_AFTER
    assert not changes.is_due(alpha, first, day - 1)
    assert changes.is_due(alpha, first, day)
    assert not changes.is_due(alpha, second, day)
    assert changes.is_due(alpha, second, day + changes.TURN)
    assert not changes.is_due(alpha, GAMMA.public, day * 9)


@pytest.mark.parametrize("day", [0, 1, DAY, 49_710, 2**32])
def test_no_date_makes_a_list_good_or_bad(day):
    alpha, beta, gamma = two_signers()
    assert gamma.take(sign(alpha, ALPHA, day)) is Verdict.NEW
    assert beta.take(alpha.newest) is Verdict.NEW
    assert gamma.take(sign(beta, BETA, DAY)) is Verdict.NEW


# The authority lost and restored -----------------------------------------------------------------------------


def test_the_authority_restored_elsewhere_names_a_signer_over_the_newest_list():
    alpha = with_beta_and_gamma()
    exported = alpha.newest
    admit(alpha, ALPHA, "delta", OTHER.public, DAY, "token")
    sign(alpha, ALPHA, DAY)
    beta, gamma = joined(alpha), joined(alpha)
    # Alpha and its disk are lost. Beta is a member, and the export is put there: its list is older, and is no loss.
    assert beta.take(exported) is Verdict.OLDER
    add_signer(beta, AUTHORITY, "beta", BETA.public)
    revoke(beta, AUTHORITY, "alpha", ALPHA.public, DAY)
    assert gamma.take(sign(beta, BETA, DAY)) is Verdict.NEW
    assert gamma.is_signer(BETA.public)
    assert gamma.is_revoked(ALPHA.public)
    assert gamma.member_named("delta").key == OTHER.public


# Membership --------------------------------------------------------------------------------------------------


def test_a_member_proves_that_it_is_in_before_others_have_the_list():
    alpha = with_beta_and_gamma()
    gamma = joined(alpha)
    admit(alpha, ALPHA, "delta", OTHER.public, DAY, "token")
    sign(alpha, ALPHA, DAY)
    shown = make_membership(joined(alpha), OTHER.public)
    assert membership.judge(gamma, shown, "delta", OTHER.public) is Standing.MEMBER
    assert gamma.member_named("delta").key == OTHER.public
    assert gamma.take(alpha.newest) is Verdict.NEW
    assert not gamma.guests


@pytest.mark.parametrize(
    "changed",
    ["name", "key", "signer", "self_signed", "foreign", "taken", "member_key", "nothing"],
)
def test_who_was_not_admitted_is_a_stranger(changed):
    alpha = with_beta_and_gamma()
    gamma = joined(alpha)
    name, key = "delta", OTHER.public
    member = make_member(ALPHA, ID, name, key, DAY, "token")
    signer = alpha.signers[ALPHA.public]
    shown = pb.Membership(federation=ID, authority=AUTHORITY.public)
    if changed == "name":
        name = "epsilon"
    elif changed == "key":
        key = MALLORY.public
    elif changed == "signer":
        signer = dataclasses.replace(signer, key=MALLORY.public)
        member = make_member(MALLORY, ID, name, key, DAY, "token")
    elif changed == "self_signed":
        signer = make_signer(MALLORY, "mallory", MALLORY.public)
        member = make_member(MALLORY, ID, name, key, DAY, "token")
    elif changed == "foreign":
        shown.federation = federation_of(OTHER.public)
    elif changed == "taken":
        name = "beta"
        member = make_member(ALPHA, ID, name, key, DAY, "token")
    elif changed == "member_key":
        key = BETA.public
        member = make_member(ALPHA, ID, name, key, DAY, "token")
    shown.member.CopyFrom(member.message())
    shown.signer.CopyFrom(signer.message())
    if changed == "nothing":
        shown = pb.Membership()
    assert membership.judge(gamma, shown, name, key) is Standing.STRANGER
    assert not gamma.guests


def test_a_signer_proves_to_a_joiner_that_the_authority_named_it():
    alpha = with_beta_and_gamma()
    good = make_membership(alpha, ALPHA.public)
    assert is_inviter(good, ID, ALPHA.public)
    assert not is_inviter(good, ID, MALLORY.public), "somebody else shows alpha's place"
    assert not is_inviter(good, federation_of(OTHER.public), ALPHA.public), "another federation's token"
    assert not is_inviter(make_membership(joined(alpha), BETA.public), ID, BETA.public), (
        "a member that signs nothing"
    )
    evil = found(MALLORY.public)
    add_signer(evil, MALLORY, "mallory", MALLORY.public)
    shown = make_membership(evil, MALLORY.public)
    shown.federation = ID
    assert not is_inviter(shown, ID, MALLORY.public), "an authority of its own"
    shown.authority = AUTHORITY.public
    assert not is_inviter(shown, ID, MALLORY.public), "the right authority, which did not sign"


def test_a_full_list_is_judged_in_bounded_work():
    members = tuple(make_member(ALPHA, ID, f"m{n}", n.to_bytes(32, "big"), DAY, "token") for n in range(1, MEMBERS))
    signers = (make_signer(AUTHORITY, "alpha", ALPHA.public),)
    shown = sign_list(ALPHA, Content(AUTHORITY.public, 1, DAY, signers, members, ()))
    assert len(shown.content) < 250_000
    assert isinstance(begin(shown, ID, 1), Federation)
