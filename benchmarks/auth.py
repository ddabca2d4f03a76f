"""Log-in: what a guarded request costs, what a token costs, and what many log-ins at once do."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks import accounts, databases, logins
from benchmarks.contest import Comparison, Contest, Contestant, measure
from benchmarks.logins import LogIn, Round
from benchmarks.part import Results, Size
from benchmarks.ratios import Figure, Measured, Result, summarise

ALGORITHMS = ("HS256", "RS256", "ES256")
OURS = "benchmarks.auth_apps"
TUTORIAL = "benchmarks.handwritten.tutorial_auth"
USERS = "benchmarks.peers.users"
AUTHX = "benchmarks.peers.authx_guard"
JOSERFC = "benchmarks.peers.joserfc_verify"


PEERS = {
    "the tutorial, completed": (TUTORIAL, "pwdlib"),
    "fastapi-users": (USERS, "fastapi_users"),
    "authx": (AUTHX, "authx"),
}


def guards(make: str, suffix: str = "") -> dict[str, Contestant]:
    """All ways to guard the bare app."""
    return {
        f"the kit{suffix}": Contestant(make=f"{OURS}:{make}"),
        **{
            f"{name}{suffix}": Contestant(make=f"{module}:{make}", package=package)
            for name, (module, package) in PEERS.items()
        },
    }


def in_memory() -> Contest:
    contestants = {"bare": Contestant(make="benchmarks.base_route:bare")}
    for algorithm in ALGORITHMS:
        contestants |= guards(algorithm.lower(), f", {algorithm}")
    aims = {"the kit, HS256": 1.90}
    return Contest(
        table="Current user and a role guard, users in memory",
        contestants=contestants,
        comparisons=[
            Comparison(candidate=name, baseline="bare", aim=aims.get(name))
            for name in contestants
            if name != "bare"
        ],
        requests=120,
        rounds=12,
        launches=3,
    )


def in_sql(name: str, url: str) -> Contest:
    return Contest(
        table=f"Current user and a role guard, users loaded by SQL on each request, HS256, {name}",
        contestants={"bare": Contestant(make="benchmarks.base_route:bare"), **guards("sql")},
        comparisons=[
            Comparison(candidate="the kit", baseline="bare"),
            *(Comparison(candidate="the kit", baseline=peer, aim=1.00) for peer in PEERS),
        ],
        requests=60,
        rounds=12,
        launches=3,
        database=url,
    )


def verifying() -> Contest:
    contestants: dict[str, Contestant] = {}
    for algorithm in ALGORITHMS:
        make = algorithm.lower()
        contestants |= {
            f"`TokenVerifier`, {algorithm}": Contestant(make=f"{OURS}:verify_{make}"),
            f"PyJWT, {algorithm}": Contestant(make=f"{TUTORIAL}:pyjwt_{make}"),
            f"joserfc, {algorithm}": Contestant(make=f"{JOSERFC}:{make}", package="joserfc"),
        }
    return Contest(
        table="Verifying one access token",
        contestants=contestants,
        comparisons=[
            Comparison(candidate=f"`TokenVerifier`, {algorithm}", baseline=f"{other}, {algorithm}")
            for algorithm in ALGORITHMS
            for other in ("PyJWT", "joserfc")
        ],
        requests=240,
        rounds=20,
        launches=2,
    )


CLIENTS = 20
MANY = 60  # as many as may wait by default
LOG_INS = {
    "the kit": LogIn(name="the kit", app=f"{OURS}:log_in"),
    "the kit, 60 clients": LogIn(name="the kit, 60 clients", app=f"{OURS}:log_in", clients=MANY),
    "the tutorial": LogIn(name="the tutorial", app=f"{TUTORIAL}:log_in"),
    "fastapi-users": LogIn(name="fastapi-users", app=f"{USERS}:log_in", path="/auth/login"),
}
# Two hashes at once of 64 MiB each, and the threads that make them.
MEMORY_AIM = 160.0  # MiB


def at_once(size: Size) -> Iterator[Measured]:
    """What 20 clients that log in again and again do to everyone else."""
    there = guards("hs256")
    taking_part = [
        one for name, one in LOG_INS.items() if name not in there or there[name].is_there
    ]
    rounds = logins.measure(taking_part, size)
    table = f"{CLIENTS} clients that log in again and again, under uvicorn"
    tutorial = p99s(rounds["the tutorial"])
    for name in rounds:
        if name != "the tutorial":
            yield Result(
                name=f"99 % of `/livez` wait at most, {name}",
                against="the tutorial",
                summary=summarise(tutorial, p99s(rounds[name])),
                aim=0.05 if name == "the kit" else None,
                table=table,
                clock="wall",
            )
    yield from figures(table, rounds)


def p99s(rounds: Sequence[Round]) -> list[float]:
    return [one.p99 * 1e6 for one in rounds]


def figures(table: str, rounds: Mapping[str, Sequence[Round]]) -> Iterator[Figure]:
    for name, found in rounds.items():
        yield Figure(
            name=name,
            what="log-ins per second",
            unit="/s",
            values=[one.per_second for one in found],
            table=table,
        )
    for name, found in rounds.items():
        peaks = [one.peak_mib for one in found if one.peak_mib is not None]
        if peaks:
            yield Figure(
                name=name,
                what="peak memory over that at rest",
                unit="MiB",
                values=peaks,
                aim=MEMORY_AIM if name.startswith("the kit") else None,
                table=table,
            )


@dataclass(frozen=True, kw_only=True)
class AuthPart:
    """The part (see `benchmarks.part.Part`)."""

    name: str = "auth"
    title: str = "Log-in"
    about: str = (
        "The base route behind a current user and a role guard. Each app must refuse a request "
        "without a token, with one that is altered, expired or for another audience, of a user "
        "without the role and of one who is no longer active, or it is not measured; all find users "
        "in the same store. In-process: CPU time of this process."
    )

    def measure(self, size: Size) -> Results:
        """With users in memory, in SQLite, and in PostgreSQL where a server answers."""
        contests = [in_memory()]
        with ExitStack() as stack:
            urls = {
                "SQLite": stack.enter_context(databases.sqlite()),
                "PostgreSQL": stack.enter_context(databases.postgres()),
            }
            for name, url in urls.items():
                if url is not None:
                    accounts.fill(url)
                    contests.append(in_sql(name, url))
            contests.append(verifying())
            results: list[Measured] = [*measure(contests, size)]
        return [*results, *at_once(size)]


PART = AuthPart()
