"""Sessions that began with a password: what they open, and what ends them."""

import asyncio
from types import SimpleNamespace

from parley.shared.addresses import User
from parley.shared.config import Config
from parley.shared.link.events import Identity
from parley.shared.service.passwords import hash_of
from parley.shared.service.user_admission import UserAdmission
from parley.shared.trust.admission import Refusal
from parley.shared.trust.assurance import ENCRYPTED, Basis
from parley.shared.trust.devices import sign_list
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.names import Name, with_password
from parley.shared.trust.tokens import issue

ERIN, NOW = User("erin", "alpha"), 1_796_000_000.0
HOME = PrivateKey(b"h" * 32)
OLD, NEW = hash_of("correct horse"), hash_of("another horse")


def process(tmp_path, *, writes=True, server_id="alpha"):
    """The admission of a process with real files; chat's writes."""

    def nothing(*_, **__):
        return None

    owner = SimpleNamespace(
        config=Config(),
        server_id=server_id,
        feature="MESSAGES" if writes else "TYPING_INDICATOR",
        metrics=SimpleNamespace(watch_counter=nothing, limited=nothing),
        guard=SimpleNamespace(complain=nothing),
        log=SimpleNamespace(error=nothing, info=nothing),
        trust=SimpleNamespace(identity=HOME),
        subscribers={},
        key_of_server=lambda _name: HOME.public,
        mail_waits=lambda _user: False,
        name_changed=nothing,
        visitors_changed=nothing,
    )
    admission = UserAdmission(owner, writes=writes)
    admission.open(tmp_path)
    return admission, owner.subscribers


async def let_in(admission, subscribers, **shown):
    """A link of erin's that shows this inside of TLS, and the outcome."""
    identity, done = Identity(user=ERIN, **shown), asyncio.get_running_loop().create_future()
    link = SimpleNamespace(assurance=ENCRYPTED, identity=identity, remote_host="10.0.0.1", is_open=True, link_id=1)
    link.hang_up = lambda: setattr(link, "is_open", False)
    admission.judge(link, identity, done.set_result)
    async with asyncio.timeout(20):
        judged = await done
    if judged.refusal is None:
        link.assurance = judged.assurance
        subscribers.setdefault(ERIN, []).append(link)
    return link, judged


def test_a_token_that_other_servers_see_opens_no_mailbox_and_the_password_does(tmp_path):
    async def run():
        chat, links = process(tmp_path)
        chat.change(with_password(Name("erin"), OLD))
        _, judged = await let_in(chat, links, password="correct horse")
        assert (judged.assurance.basis, judged.token.device) == (Basis.SESSION, b"")
        _, again = await let_in(chat, links, token=judged.token)
        assert again.refusal is Refusal.SESSION_OVER
        typing, others = process(tmp_path, writes=False)
        _, there = await let_in(typing, others, token=judged.token)
        assert there.assurance.basis is Basis.SESSION
        typing.stop()
        chat.stop()

    asyncio.run(run())


def test_a_new_password_ends_the_sessions_of_the_one_before(tmp_path):
    async def run():
        chat, links = process(tmp_path)
        chat.change(with_password(Name("erin"), OLD))
        before, judged = await let_in(chat, links, password="correct horse")
        typing, others = process(tmp_path, writes=False)
        beside, _ = await let_in(typing, others, token=judged.token)
        after = with_password(chat.store.of("erin"), NEW)
        assert chat.change(after)
        assert not before.is_open
        typing.store._take(after)
        typing.judge_again(["erin"])
        assert not beside.is_open
        links.clear()
        link, _ = await let_in(chat, links, password="another horse")
        chat.judge_again(["erin"])
        assert link.is_open
        typing.stop()
        chat.stop()

    asyncio.run(run())


def test_a_password_that_was_changed_while_it_was_looked_at_lets_nobody_in(tmp_path):
    async def run():
        chat, links = process(tmp_path)
        chat.change(with_password(Name("erin"), OLD))
        asking = asyncio.ensure_future(let_in(chat, links, password="correct horse"))
        await asyncio.sleep(0)  # it is being looked at
        chat.change(with_password(chat.store.of("erin"), NEW))
        assert (await asking)[1].refusal is Refusal.PASSWORD_WRONG
        chat.stop()

    asyncio.run(run())


def test_a_new_password_ends_its_user_s_visits(tmp_path):
    async def run():
        typing, links = process(tmp_path, writes=False, server_id="beta")
        old, new = (issue(HOME, ERIN, b"", number, NOW) for number in (1, 2))
        typing._clock.is_over = lambda *_: False
        before, _ = await let_in(typing, links, token=old)
        after, _ = await let_in(typing, links, token=new)
        told = sign_list(HOME, ERIN, [], number=2, now=NOW, sessions_from=2)
        typing._changed_elsewhere(frozenset(), [told])
        assert (before.is_open, after.is_open) == (False, True)
        typing.stop()

    asyncio.run(run())
