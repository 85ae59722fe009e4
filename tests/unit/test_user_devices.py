"""The devices of users in the chat process: what its hourly look keeps and ends."""

from types import SimpleNamespace

from parley.services.chat.users.devices import UserDevices
from parley.shared.addresses import User
from parley.shared.trust.assurance import PLAIN, Assurance, Basis
from parley.shared.trust.claims import AGAIN, LAPSE
from parley.shared.trust.names import Change, Name, changed

KEY = b"\1" * 32


class Store:
    """Names in memory."""

    def __init__(self, age, *names):
        self.age = age
        self.names = {name.user_id: name for name in names}

    def put(self, name):
        self.names[name.user_id] = name

    def forget_unneeded(self):
        pass


def looked(store, **links):
    subscribers = {User(user_id, "alpha"): [SimpleNamespace(assurance=each)] for user_id, each in links.items()}
    admission = SimpleNamespace(store=store, change=store.put)
    owner = SimpleNamespace(user_admission=admission, server_id="alpha", subscribers=subscribers)
    UserDevices(owner).expire()
    return store.names


def test_a_plain_program_that_stays_connected_goes_on_holding_its_name():
    store = Store(1e9, Name("bob", plain_at=0.0), Name("dora", plain_at=0.0))
    names = looked(store, bob=PLAIN)
    assert (names["bob"].plain_at, names["dora"].plain_at) == (1e9, 0.0)


def test_a_claim_lapses_unless_its_user_is_here():
    mine = [changed(Name(user_id), Change.OWN, KEY, 0.0, 1) for user_id in ("alice", "carol")]
    names = looked(Store(LAPSE + 1, *mine), alice=Assurance(Basis.SEEN, KEY))
    assert (names["alice"].is_owned, names["carol"].is_owned) == (True, False)


def test_a_key_whose_first_link_stands_for_days_has_used_its_name_again():
    store = Store(LAPSE + 1, changed(Name("alice"), Change.OWN, KEY, 0.0, 1))
    looked(store, alice=Assurance(Basis.SEEN, KEY))
    store.age += AGAIN  # and then she is away for an hour
    assert looked(store)["alice"].is_owned
