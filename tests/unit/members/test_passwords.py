"""Hashing with the parameters that are used in earnest."""

import asyncio

from argon2 import PasswordHasher

from kinema.core.errors import Unavailable
from kinema.services.members.passwords import Passwords


async def test_a_password_fits_its_own_hash_only():
    passwords = Passwords()
    stored = await passwords.hash("correct horse")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.verify(stored, "correct horse")
    assert not await passwords.verify(stored, "battery staple")
    assert not await passwords.verify(None, "correct horse")
    assert not await passwords.verify("no hash", "correct horse")


async def test_a_hash_of_older_parameters_is_told():
    older = Passwords(PasswordHasher(time_cost=1, memory_cost=64))
    stored = await older.hash("correct horse")
    assert not older.outdated(stored)
    assert Passwords().outdated(stored)


async def test_more_than_can_wait_are_turned_away():
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=64))
    answers = await asyncio.gather(*(passwords.hash("x") for _ in range(40)), return_exceptions=True)
    turned_away = [answer for answer in answers if isinstance(answer, Unavailable)]
    assert len(turned_away) == 6
    assert (await passwords.hash("x")).startswith("$argon2id$")
