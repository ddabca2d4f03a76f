"""`PasswordHasher`: what verifies, what is upgraded, what it costs, and that it never raises."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from passlib.context import CryptContext

from fastapi_kit.auth import PasswordHasher, UnusablePasswordError
from fastapi_kit.auth._passlib import (
    _SELF_TESTS,
    _warn_of_two_passlibs,
    _working,
    argon2_context,
)
from fastapi_kit.errors import ConfigurationError, ServiceUnavailableError
from tests.auth.accounts import HASHER, get

PASSWORD = "correct horse battery staple"
BCRYPT = _SELF_TESTS["bcrypt"]
OLD = {
    "bcrypt": {"bcrypt__rounds": 4},
    "pbkdf2_sha256": {"pbkdf2_sha256__rounds": 1},
    "pbkdf2_sha512": {"pbkdf2_sha512__rounds": 1},
    "scrypt": {"scrypt__rounds": 1, "scrypt__block_size": 1},
}


def old_hash(scheme: str) -> str:
    argon2_context(time_cost=1, memory_cost_kib=8, parallelism=1)  # loads bcrypt without its noise
    return str(CryptContext([scheme], **OLD[scheme]).hash(PASSWORD))


async def test_a_password_fits_its_hash_and_no_other_does() -> None:
    stored = await HASHER.hash(PASSWORD)

    assert await HASHER.verify(PASSWORD, stored)
    assert not await HASHER.verify(PASSWORD + " ", stored)


async def test_each_hash_has_its_own_salt() -> None:
    assert await HASHER.hash(PASSWORD) != await HASHER.hash(PASSWORD)


async def test_new_hashes_are_argon2id_by_rfc_9106() -> None:
    assert (await PasswordHasher().hash(PASSWORD)).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


@pytest.mark.parametrize("scheme", OLD)
async def test_an_old_hash_verifies_and_is_upgraded_once(scheme: str) -> None:
    fits, upgraded = await HASHER.verify_and_update(PASSWORD, old_hash(scheme))

    assert fits
    assert upgraded is not None
    assert upgraded.startswith("$argon2id$")
    assert await HASHER.verify_and_update(PASSWORD, upgraded) == (True, None)


@pytest.mark.parametrize("scheme", OLD)
async def test_a_wrong_password_is_refused_and_upgrades_nothing(scheme: str) -> None:
    assert await HASHER.verify_and_update("wrong", old_hash(scheme)) == (False, None)


async def test_a_hash_of_other_parameters_is_upgraded() -> None:
    stronger = PasswordHasher(time_cost=5, memory_cost_kib=7168, parallelism=1)

    fits, upgraded = await stronger.verify_and_update(PASSWORD, await HASHER.hash(PASSWORD))

    assert fits
    assert upgraded is not None
    assert "m=7168,t=5,p=1" in upgraded


HOSTILE = ["", "\x00", "a\x00b", "\ud800", "x" * 4097, "é" * 3000, "x" * 1_000_000, None, 7, b"x"]
CORRUPT = [
    "",
    "x",
    "$argon2id$",
    "$argon2id$v=19$m=8,t=1,p=1$!!$!!",
    "$argon2id$v=19$m=99999999999,t=1,p=1$aaaaaaaaaaa$aaaa",
    "$2b$04$short",
    "$2b$99$" + "a" * 53,
    "$pbkdf2-sha256$x$y$z",
    "\ud800",
    "\x00",
    "é",
]


@pytest.mark.parametrize("password", HOSTILE)
@pytest.mark.parametrize("scheme", ["argon2", *OLD])
async def test_no_password_makes_verify_raise(password: Any, scheme: str) -> None:
    stored = await HASHER.hash(PASSWORD) if scheme == "argon2" else old_hash(scheme)

    assert await HASHER.verify_and_update(password, stored) == (False, None)


@pytest.mark.parametrize("stored", [*CORRUPT, None])
async def test_no_stored_hash_makes_verify_raise(stored: Any) -> None:
    assert await HASHER.verify_and_update(PASSWORD, stored) == (False, None)
    assert HASHER.needs_update(stored) in {True, False}


@given(st.text(max_size=100), st.text(max_size=100))
@settings(max_examples=50, deadline=None)
async def test_nothing_makes_verify_raise_or_succeed(password: str, stored: str) -> None:
    assert await HASHER.verify(password, stored) is False


@given(st.text(min_size=1, max_size=60))
@settings(max_examples=30, deadline=None)
async def test_any_password_fits_its_hash(password: str) -> None:
    assert await HASHER.verify(password, await HASHER.hash(password))


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "empty"),
        ("\ud800", "not valid Unicode"),
        ("x" * 4097, "longer than 4096 bytes"),
        ("é" * 3000, "longer than 4096 bytes"),
        (None, "empty"),
    ],
)
async def test_a_password_that_cannot_be_hashed_is_a_422_that_says_why(
    password: Any, reason: str
) -> None:
    with pytest.raises(UnusablePasswordError, match=reason) as raised:
        await HASHER.hash(password)

    assert raised.value.status_code == 422


async def test_an_unusable_password_is_the_clients_fault_in_a_bare_app() -> None:
    app = FastAPI()

    @app.get("/")
    async def register() -> str:
        return await HASHER.hash("\ud800")

    assert (await get(app, "/")).status_code == 422


async def test_a_corrupt_hash_is_logged_without_hash_or_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await HASHER.verify(PASSWORD, "$argon2id$corrupt")

    assert "corrupt" in caplog.text
    assert "$argon2id$" not in caplog.text
    assert PASSWORD not in caplog.text


async def test_a_password_that_a_scheme_cannot_read_does_not_pass_for_a_corrupt_hash(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """There is no NUL in bcrypt; whoever types one must not send anybody looking for a broken database."""
    assert not await HASHER.verify("a\0b", BCRYPT)

    assert "or cannot read what was typed" in caplog.text


async def cpu_of_verifying(hasher: PasswordHasher, stored: str | None) -> float:
    """CPU seconds, the least of some tries."""
    tries: list[float] = []
    for _ in range(7):
        start = time.process_time()
        await hasher.verify("wrong", stored)
        tries.append(time.process_time() - start)
    return min(tries)


@pytest.mark.parametrize("stored", [None, "$argon2id$corrupt", "no hash at all"])
async def test_no_hash_takes_the_work_of_a_wrong_password_from_the_first_time_on(
    stored: str | None,
) -> None:
    hasher = PasswordHasher(time_cost=5, memory_cost_kib=7168, parallelism=1)

    nothing = await cpu_of_verifying(hasher, stored)
    wrong = await cpu_of_verifying(hasher, await hasher.hash(PASSWORD))

    assert 0.5 < nothing / wrong < 2


async def test_the_event_loop_runs_on_while_passwords_are_hashed() -> None:
    hasher = PasswordHasher(time_cost=5, memory_cost_kib=7168, parallelism=1)
    turns = 0

    async def count(scope: anyio.CancelScope) -> None:
        nonlocal turns
        with scope:
            while True:
                turns += 1
                await anyio.lowlevel.checkpoint()

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count, scope)
        await hasher.hash(PASSWORD)
        scope.cancel()

    assert turns > 10


async def test_no_more_hashes_run_at_once_than_allowed() -> None:
    """While two places are taken, every other caller waits, to hash and to verify."""
    hasher = PasswordHasher.for_tests()
    limiter = hasher._queue_of_this_loop().limiter
    places = [object(), object()]
    for place in places:
        limiter.acquire_on_behalf_of_nowait(place)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hasher.hash, PASSWORD)
        tasks.start_soon(hasher.verify, PASSWORD, None)
        tasks.start_soon(hasher.verify_and_update, PASSWORD, BCRYPT)
        await anyio.wait_all_tasks_blocked()
        during = limiter.statistics()
        for place in places:
            limiter.release_on_behalf_of(place)

    assert (during.total_tokens, during.borrowed_tokens, during.tasks_waiting) == (2, 2, 3)
    assert limiter.statistics().borrowed_tokens == 0


async def test_who_comes_while_too_many_wait_is_turned_away_at_once() -> None:
    """1000 log-ins at once are as many as fit; the others take no memory and no time."""
    hasher = PasswordHasher.for_tests()
    limiter = hasher._queue_of_this_loop().limiter
    places = [object(), object()]
    for place in places:
        limiter.acquire_on_behalf_of_nowait(place)
    turned_away = []

    async def log_in() -> None:
        try:
            await hasher.verify(PASSWORD, None)
        except ServiceUnavailableError as error:
            turned_away.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(1000):
            tasks.start_soon(log_in)
        await anyio.wait_all_tasks_blocked()
        waiting = limiter.statistics().tasks_waiting
        for place in places:
            limiter.release_on_behalf_of(place)

    assert (waiting, len(turned_away)) == (66, 934)
    assert turned_away[0].headers == {"Retry-After": "5"}
    assert not await hasher.verify(PASSWORD, None)


async def test_an_old_hash_stays_for_another_time_when_too_many_wait() -> None:
    class OneMore(PasswordHasher):
        async def verify(self, password: str, password_hash: str | None) -> bool:
            matches = await super().verify(password, password_hash)
            self._queue_of_this_loop().callers = 66
            return matches

    assert await OneMore.for_tests().verify_and_update(PASSWORD, old_hash("bcrypt")) == (True, None)


def test_one_hasher_serves_one_event_loop_after_the_other() -> None:
    hasher = PasswordHasher.for_tests()

    first = anyio.run(hasher.hash, PASSWORD)

    assert anyio.run(hasher.verify, PASSWORD, first)


def test_building_a_hasher_hashes_nothing_at_full_cost() -> None:
    PasswordHasher()
    start = time.process_time()

    PasswordHasher()

    assert time.process_time() - start < 0.05


@pytest.mark.parametrize(
    "cost",
    [
        {"memory_cost_kib": 7167},
        {"memory_cost_kib": 7168, "time_cost": 4},
        {"memory_cost_kib": 65536, "time_cost": 0},
    ],
)
def test_parameters_below_owasps_least_are_refused(cost: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="too cheap"):
        PasswordHasher(**cost)


@pytest.mark.parametrize("number", [{"parallelism": 0}, {"max_concurrency": 0}])
def test_numbers_below_one_are_refused(number: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="must be 1 or more"):
        PasswordHasher(**number)


def test_no_fewer_than_none_may_wait() -> None:
    with pytest.raises(ConfigurationError, match="max_waiting=-1 must be 0 or more"):
        PasswordHasher(max_waiting=-1)


@pytest.mark.parametrize("environment", ["production", "staging", "development", "Test", ""])
def test_the_cheap_hasher_is_refused_outside_of_tests(environment: str) -> None:
    with pytest.raises(ConfigurationError, match="protects nothing"):
        PasswordHasher.for_tests(environment=environment)


@pytest.mark.parametrize(
    ("environment", "cost"),
    [("test", "m=8,"), ("development", "m=65536,"), ("production", "m=65536,"), ("?", "m=65536,")],
)
async def test_the_environment_chooses_the_hasher(environment: str, cost: str) -> None:
    assert cost in await PasswordHasher.for_environment(environment).hash(PASSWORD)


async def test_a_cheap_hash_that_got_into_production_is_upgraded_there() -> None:
    assert PasswordHasher().needs_update(await HASHER.hash(PASSWORD))


# --- what is installed beside us


def test_a_scheme_that_fails_its_self_test_is_left_out() -> None:
    """Unknown to passlib; known, but taking a wrong password for the right one."""
    tests = {"argon2": _SELF_TESTS["argon2"], "no such scheme": "x", "plaintext": "other"}

    assert _working(tests) == ("argon2",)


@pytest.mark.parametrize("known", [BCRYPT, _SELF_TESTS["argon2"][:-4] + "AAAA"])
def test_without_an_argon2_that_works_no_hasher_is_built(known: str) -> None:
    with pytest.raises(ConfigurationError, match="reinstall argon2-cffi"):
        _working({"argon2": known})


def test_passlib_and_libpass_together_are_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, version in (("passlib", "1.7.4"), ("libpass", "1.9.3")):
        metadata = tmp_path / f"{name}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.warns(RuntimeWarning, match="passlib and libpass are both installed"):
        _warn_of_two_passlibs()


def run(program: str, folder: Path) -> str:
    """Output of a process of its own that finds the folder's modules before the installed ones."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


VERIFY = f"""
import anyio, warnings
warnings.filterwarnings("ignore", category=DeprecationWarning)
from fastapi_kit.auth import PasswordHasher
hasher = PasswordHasher.for_tests()
async def main():
    print("old", await hasher.verify("self-test", {BCRYPT!r}))
    print("new", await hasher.verify("x", await hasher.hash("x")))
anyio.run(main)
"""


def test_bcrypt_verifies_without_noise(tmp_path: Path) -> None:
    assert run(VERIFY, tmp_path) == "old True\nnew True\n"


def test_with_a_bcrypt_that_passlib_cannot_use_new_hashes_work_and_old_ones_are_refused(
    tmp_path: Path,
) -> None:
    """Every call of bcrypt 5 by passlib raises ValueError."""
    (tmp_path / "bcrypt.py").write_text(
        "__version__ = '5.0.0'\ndef hashpw(*_): raise ValueError('72 bytes')\ngensalt = hashpw"
    )

    output = run(VERIFY, tmp_path)

    assert "old False" in output
    assert "new True" in output
    assert "fastapi-kit[bcrypt]" in output
