"""Whoever guesses passwords is slowed down, and nobody else is."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastapi_kit.auth import MemoryLockout
from fastapi_kit.auth.lockout import ALARM_FAILURES
from fastapi_kit.errors import ConfigurationError
from tests.auth.accounts import Accounts, Clock
from tests.auth.sessions import PASSWORD, Down, House, is_refused

THIEF, ANN = "198.51.100.7", "203.0.113.1"


async def fail(lockout: MemoryLockout, times: int, login: str = "ann", client: str = THIEF) -> None:
    for _ in range(times):
        assert await lockout.begin(login, client) == 0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lockout(clock: Clock) -> MemoryLockout:
    return MemoryLockout(clock=clock)


async def test_the_first_ten_failures_are_free_and_then_each_wait_doubles(
    lockout: MemoryLockout, clock: Clock
) -> None:
    await fail(lockout, 10)
    waits = []
    for _ in range(12):
        wait = await lockout.begin("ann", THIEF)
        waits.append(wait)
        clock.advance(seconds=wait)
        await fail(lockout, 1)

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


async def test_waiting_is_not_made_longer_by_asking(lockout: MemoryLockout, clock: Clock) -> None:
    await fail(lockout, 10)
    clock.advance(seconds=0.5)

    assert [await lockout.begin("ann", THIEF) for _ in range(50)] == [0.5] * 50


async def test_a_success_clears_the_count(lockout: MemoryLockout) -> None:
    await fail(lockout, 9)
    await lockout.begin("ann", THIEF)
    await lockout.succeeded("ann", THIEF)

    await fail(lockout, 20)


async def test_an_attempt_that_was_not_decided_does_not_count(lockout: MemoryLockout) -> None:
    for _ in range(30):
        assert await lockout.begin("ann", THIEF) == 0
        await lockout.abandoned("ann", THIEF)
    await lockout.abandoned("nobody", THIEF)

    await fail(lockout, 10)


async def test_failures_are_forgotten_after_a_day(lockout: MemoryLockout, clock: Clock) -> None:
    await fail(lockout, 10)
    clock.advance(hours=25)

    await fail(lockout, 10)


async def test_nobody_elses_failures_make_a_client_wait(lockout: MemoryLockout) -> None:
    """As many as an attacker has addresses: each keeps its own first attempts."""
    for number in range(2 * ALARM_FAILURES):
        await fail(lockout, 1, client=f"198.51.100.{number}")

    assert await lockout.begin("ann", ANN) == 0


async def test_another_name_is_another_count(lockout: MemoryLockout) -> None:
    await fail(lockout, 10)

    await fail(lockout, 10, login="bob")


@pytest.mark.parametrize("login", ["ANN", " ann ", "\uff41\uff4e\uff4e"])
async def test_another_spelling_of_a_name_is_the_same_count(
    lockout: MemoryLockout, login: str
) -> None:
    await fail(lockout, 10)

    assert await lockout.begin(login, THIEF) > 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:198.51.100.7", "198.51.100.7", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("198.51.100.7", "198.51.100.8", False),
        ("unix:", "unix:", True),
    ],
)
async def test_which_addresses_are_one_client(
    lockout: MemoryLockout, one: str, other: str, same: bool
) -> None:
    await fail(lockout, 10, client=one)

    assert (await lockout.begin("ann", other) > 0) is same


async def test_a_client_that_has_succeeded_before_has_a_hundred_attempts(
    lockout: MemoryLockout,
) -> None:
    await lockout.begin("ann", ANN)
    await lockout.succeeded("ann", ANN)

    await fail(lockout, 100, client=ANN)
    assert await lockout.begin("ann", ANN) == 1


async def test_under_attack_strangers_have_three_attempts_and_known_clients_all_of_theirs(
    lockout: MemoryLockout, caplog: pytest.LogCaptureFixture
) -> None:
    await lockout.begin("ann", ANN)
    await lockout.succeeded("ann", ANN)
    for number in range(ALARM_FAILURES):
        await fail(lockout, 1, client=f"198.51.100.{number}")

    await fail(lockout, 50, client=ANN)
    await fail(lockout, 3, client="192.0.2.1")
    assert await lockout.begin("ann", "192.0.2.1") == 900
    assert "Log-in with one name failed 100 times within an hour" in caplog.text
    assert "ann" not in caplog.text
    assert len(caplog.messages) == 1


async def test_an_attack_is_over_an_hour_after_it_began(
    lockout: MemoryLockout, clock: Clock
) -> None:
    for number in range(ALARM_FAILURES):
        await fail(lockout, 1, client=f"198.51.100.{number}")
    clock.advance(hours=1, seconds=1)

    await fail(lockout, 10, client="192.0.2.1")


async def test_successes_of_strangers_are_no_attack(lockout: MemoryLockout) -> None:
    for number in range(2 * ALARM_FAILURES):
        await lockout.begin("shared", f"198.51.100.{number}")
        await lockout.succeeded("shared", f"198.51.100.{number}")

    await fail(lockout, 10, login="shared", client="192.0.2.1")


async def test_of_each_name_eight_known_clients_are_remembered(lockout: MemoryLockout) -> None:
    for number in range(9):
        await lockout.begin("ann", f"203.0.113.{number}")
        await lockout.succeeded("ann", f"203.0.113.{number}")

    await fail(lockout, 11, client="203.0.113.8")
    await fail(lockout, 10, client="203.0.113.0")
    assert await lockout.begin("ann", "203.0.113.0") > 0


async def test_its_memory_is_bounded() -> None:
    lockout = MemoryLockout(max_entries=100)
    for number in range(500):
        await lockout.begin(f"user {number}", THIEF)
        await lockout.succeeded(f"user {number}", THIEF)
        await lockout.begin(f"user {number}", THIEF)

    assert len(lockout._pairs) == len(lockout._failures) == len(lockout._familiar) == 100


async def test_it_holds_no_names(lockout: MemoryLockout) -> None:
    await fail(lockout, 1, login="perhaps a password")

    assert "perhaps" not in repr([vars(lockout), vars(lockout._pairs), vars(lockout._failures)])


@given(st.text(max_size=50), st.text(max_size=50))
@settings(max_examples=50, deadline=None)
async def test_nothing_makes_it_raise(login: str, client: str) -> None:
    lockout = MemoryLockout(clock=Clock())

    await fail(lockout, 10, login, client)
    assert await lockout.begin(login, client) == 1
    await lockout.succeeded(login, client)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"free_attempts": 0}, "free_attempts=0"),
        ({"max_entries": 0}, "max_entries=0"),
        ({"first_wait": timedelta(0)}, "first_wait=0:00:00"),
        ({"first_wait": timedelta(hours=1)}, "max_wait=0:15:00"),
    ],
)
def test_a_lockout_that_cannot_work_is_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        MemoryLockout(**options)


# --- at the token endpoint


async def test_after_too_many_failures_the_answer_is_429_and_says_how_long() -> None:
    house = House()
    async with house.client(THIEF) as client:
        for _ in range(10):
            is_refused(await client.try_log_in(password="wrong"))

        response = await client.try_log_in()

    is_refused(response, "temporarily_unavailable", 429)
    assert response.headers["retry-after"] == "1"
    assert house.events[-1].reason == "too many failed attempts"


async def test_an_unknown_name_is_refused_alike() -> None:
    house = House()
    answers = []
    for login in ("ann", "nobody"):
        async with house.client(THIEF) as client:
            tries = [await client.try_log_in(login, "wrong") for _ in range(12)]
        answers.append([(answer.status_code, answer.text) for answer in tries])

    assert answers[0] == answers[1]


async def test_whoever_waits_costs_no_look_up_and_no_hash() -> None:
    house = House()
    async with house.client(THIEF) as client:
        for _ in range(30):
            await client.try_log_in(password="wrong")

    assert len(house.accounts.asked) == 10


async def test_the_one_who_is_attacked_logs_in() -> None:
    house = House()
    async with house.client(THIEF) as thief, house.client(ANN) as ann:
        for _ in range(30):
            await thief.try_log_in(password="wrong")

        await ann.log_in()


async def test_guesses_at_the_same_moment_are_counted_before_they_are_decided() -> None:
    async with House().client(THIEF) as client:
        answers = await asyncio.gather(*(client.try_log_in(password="wrong") for _ in range(30)))

    assert [answer.status_code for answer in answers].count(400) == 10


async def test_while_the_users_cannot_be_reached_nothing_is_counted() -> None:
    class Down(Accounts):
        async def get_by_login(self, login: str) -> None:
            raise ConnectionError

    house = House(accounts=Down())
    async with house.client(THIEF) as client:
        for _ in range(12):
            with pytest.raises(ConnectionError):
                await client.try_log_in()


class Unreachable(MemoryLockout):
    """Counts that are kept elsewhere, one of whose methods cannot be reached."""

    def __init__(self, method: str) -> None:
        super().__init__(clock=Clock())
        setattr(self, method, getattr(Down(), method))


@pytest.mark.parametrize("method", ["begin", "succeeded"])
async def test_a_lockout_that_is_down_is_503(method: str, caplog: pytest.LogCaptureFixture) -> None:
    house = House(options={"lockout": Unreachable(method)})
    async with house.client(THIEF) as client:
        response = await client.try_log_in()

    is_refused(response, "temporarily_unavailable", 503)
    assert int(response.headers["retry-after"]) > 0
    assert (len(house.store), house.events) == (0, [])
    assert "The lock-out does not answer: ConnectionError" in caplog.text
    assert "hunter2" not in caplog.text


async def test_a_lockout_that_is_down_while_the_users_are_is_503() -> None:
    class Gone(Accounts):
        async def get_by_login(self, login: str) -> None:
            raise OSError

    house = House(accounts=Gone(), options={"lockout": Unreachable("abandoned")})
    async with house.client(THIEF) as client:
        is_refused(await client.try_log_in(), "temporarily_unavailable", 503)


@pytest.mark.parametrize("options", [{"lockout": False}, {"client_address": lambda request: None}])
async def test_without_a_lockout_or_an_address_nobody_waits(options: Any) -> None:
    async with House(options=options).client(THIEF) as client:
        for _ in range(12):
            is_refused(await client.try_log_in(password="wrong"))


async def test_another_lockout_takes_its_place() -> None:
    house = House(options={"lockout": MemoryLockout(free_attempts=1, clock=Clock())})
    async with house.client(THIEF) as client:
        is_refused(await client.try_log_in(password="wrong"))
        is_refused(await client.try_log_in(), "temporarily_unavailable", 429)


async def test_where_the_server_tells_no_address_log_in_works() -> None:
    house = House()
    async with house.client() as client:
        client.http._transport.client = None  # type: ignore[attr-defined]
        assert (await client.try_log_in(password=PASSWORD)).status_code == 200

    assert house.events[0].client_address is None
