"""Passwords that wait to be looked at: none of them is counted as wrong yet, and so there are few."""

import asyncio

from parley.shared.service.passwords import MOST, OF_ADDRESS, Passwords, hash_of
from parley.shared.trust.guesses import FREE_TRIES

KNOWN = hash_of("correct horse")


class Outcomes(list):
    """What came of each, in order."""

    def __init__(self):
        super().__init__()
        self._more = asyncio.Event()

    def append(self, is_right):
        super().append(is_right)
        self._more.set()

    async def reach(self, count):
        async with asyncio.timeout(30):
            while len(self) < count:
                self._more.clear()
                await self._more.wait()


def guesses(passwords, tries, text, outcomes):
    """How many of these, by user and address, are looked at of those that come in one moment."""
    now, count = asyncio.get_running_loop().time(), 0
    for user_id, address in tries:
        if passwords.may_try(user_id, address, now):
            passwords.check(user_id, address, text, KNOWN, outcomes.append)
            count += 1
    return count


def test_guesses_that_come_at_once_are_no_more_than_those_that_come_one_by_one():
    async def run():
        passwords, outcomes = Passwords(), Outcomes()
        many = [("erin", f"10.0.0.{n}") for n in range(2 * MOST)]
        assert guesses(passwords, many, "wrong guess", outcomes) == FREE_TRIES
        of_one = [(f"user{n}", "10.0.1.1") for n in range(2 * MOST)]
        assert guesses(passwords, of_one, "wrong guess", outcomes) == OF_ADDRESS
        await outcomes.reach(FREE_TRIES + OF_ADDRESS)
        # One more of the user, where a second has passed since the third.
        assert guesses(passwords, many + of_one, "wrong guess", outcomes) <= 1
        passwords.close()

    asyncio.run(run())


def test_whoever_gave_the_right_one_is_not_kept_out_by_others_guesses():
    async def run():
        passwords, outcomes = Passwords(), Outcomes()
        assert guesses(passwords, [("erin", "10.0.2.1")], "correct horse", outcomes) == 1
        await outcomes.reach(1)
        assert outcomes == [True]
        many = [("erin", f"10.0.0.{n}") for n in range(2 * MOST)]
        assert guesses(passwords, many, "wrong guess", outcomes) == FREE_TRIES
        assert guesses(passwords, [("erin", "10.0.2.1")], "correct horse", outcomes) == 1
        await outcomes.reach(FREE_TRIES + 2)
        assert outcomes.count(True) == 2
        passwords.close()

    asyncio.run(run())
