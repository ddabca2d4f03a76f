"""An `Auth` without users: a service that goes by what the tokens of another say."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, assert_type

import pytest
from fastapi import Depends, FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from fastapi_kit.auth import (
    AccessClaims,
    Auth,
    Caller,
    DenyList,
    InvalidTokenError,
    MemoryDenyList,
    MemoryRefreshStore,
    Principal,
    RefreshTokens,
    RoleHierarchy,
    TokenIssuer,
    TokenPolicy,
    TokenVerifier,
    auth_router,
    fresh,
    permissions,
    roles,
    scopes,
)
from fastapi_kit.auth._jose import sign
from fastapi_kit.auth.claims import new_claims
from fastapi_kit.errors import ConfigurationError
from fastapi_kit.testing import as_user
from tests.auth.accounts import HASHER, SCOPES, Accounts, Clock, User, client_of, get
from tests.auth.keys import public_ring, ring

CLOCK = Clock()
LOGIN = "https://login.example"
PLAIN = TokenPolicy(issuer=LOGIN, audience="orders", clock=CLOCK)
POLICY = TokenPolicy(
    issuer=LOGIN,
    audience="orders",
    clock=CLOCK,
    roles_claim="roles",
    permissions_claim="entitlements",
)
ISSUER = TokenIssuer(POLICY, ring("ES256"))


def reader(policy: TokenPolicy = POLICY, **options: Any) -> Auth[Principal]:
    return Auth(verifiers=[TokenVerifier(policy, public_ring("ES256"))], scopes=SCOPES, **options)


def make_app(auth: Auth[Any]) -> FastAPI:
    app = FastAPI()

    @app.get("/me")
    async def me(user: Annotated[Principal, Depends(auth.current_user)]) -> dict[str, Any]:
        return {
            "subject": user.subject,
            "roles": sorted(user.roles),
            "permissions": sorted(user.permissions),
            "scopes": sorted(user.scopes or ()),
        }

    @app.get("/maybe")
    async def maybe(user: Annotated[Principal | None, Depends(auth.optional_user)]) -> str | None:
        return None if user is None else user.subject

    for path, requirement in {
        "/role": roles("editor"),
        "/permission": permissions("catalog"),
        "/scope": scopes("items:write"),
        "/fresh": fresh(timedelta(minutes=5)),
    }.items():
        app.add_api_route(path, nothing, dependencies=[Depends(auth.require(requirement))])
    return app


async def nothing() -> None: ...


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def signed(**claims: Any) -> str:
    """A token by the right key, with these claims beside or in place of the usual ones."""
    usual = new_claims(POLICY, "7", timedelta(minutes=5))
    return sign({**usual, **claims}, ring("ES256").signing, typ="at+jwt")


async def status(path: str, token: str, auth: Auth[Any] | None = None) -> int:
    app = make_app(reader() if auth is None else auth)
    return (await get(app, path, bearing(token))).status_code


# --- who is calling


async def test_the_caller_is_what_the_token_says() -> None:
    token = ISSUER.issue("7", scopes={"items:read"}, roles={"b", "a"}, permissions={"catalog"})

    answer = await get(make_app(reader()), "/me", bearing(token))

    assert answer.json() == {
        "subject": "7",
        "roles": ["a", "b"],
        "permissions": ["catalog"],
        "scopes": ["items:read"],
    }


def test_the_type_of_the_caller_is_known_without_being_told() -> None:
    verifier = TokenVerifier(POLICY, public_ring("ES256"))

    alone = assert_type(Auth(verifiers=[verifier]), Auth[Principal])
    beside = Auth(users=Accounts(), verifiers=[verifier], token_url="/token", hasher=HASHER)
    assert_type(beside, Auth[User])

    assert (alone.issues_tokens, beside.issues_tokens) == (False, False)


async def test_without_a_token_nobody_is_calling() -> None:
    app = make_app(reader())

    assert (await get(app, "/me")).headers["www-authenticate"] == "Bearer"
    assert (await get(app, "/maybe")).json() is None


async def test_a_token_without_names_has_none() -> None:
    answer = await get(make_app(reader()), "/me", bearing(ISSUER.issue("7")))

    assert answer.json() == {"subject": "7", "roles": [], "permissions": [], "scopes": []}


async def test_code_outside_of_routes_is_told_the_same() -> None:
    auth, seen = reader(), list[Caller[Principal] | None]()
    app = FastAPI()

    async def look(caller: Annotated[Any, Depends(auth.identify)]) -> None:
        seen.append(caller)

    app.add_api_route("/", look)
    await get(app, "/", bearing(ISSUER.issue("7", roles={"editor"})))

    [caller] = seen
    assert caller is not None
    assert caller.user == caller.principal == Principal("7", roles={"editor"}, scopes=())


# --- guards


@pytest.mark.parametrize(
    ("path", "held"),
    [
        ("/role", {"roles": {"editor"}}),
        ("/permission", {"permissions": {"catalog"}}),
        ("/scope", {"scopes": {"items:write"}}),
    ],
)
async def test_a_guard_goes_by_the_claims(path: str, held: dict[str, Any]) -> None:
    assert await status(path, ISSUER.issue("7", **held)) == 200
    assert await status(path, ISSUER.issue("7")) == 403


@pytest.mark.parametrize(("minutes", "expected"), [(5, 200), (6, 401)])
async def test_the_log_in_must_be_fresh(minutes: int, expected: int) -> None:
    token = ISSUER.issue("7", auth_time=CLOCK() - timedelta(minutes=minutes))

    assert await status("/fresh", token) == expected


async def test_a_role_is_no_permission_and_no_scope() -> None:
    token = ISSUER.issue("7", roles={"catalog", "items:write"}, permissions={"editor"})

    for path in ("/role", "/permission", "/scope"):
        assert await status(path, token) == 403


async def test_a_hierarchy_counts_for_roles_of_tokens() -> None:
    auth = reader(hierarchy=RoleHierarchy({"admin": ["editor"]}))

    assert await status("/role", ISSUER.issue("7", roles={"admin"}), auth) == 200


# --- which claims are trusted


async def test_a_claim_that_the_policy_does_not_name_is_not_read() -> None:
    token = ISSUER.issue("7", roles={"editor"}, permissions={"catalog"})

    assert await status("/role", token, reader(PLAIN)) == 403
    assert await status("/permission", token, reader(PLAIN)) == 403


async def test_a_claim_that_the_policy_does_not_name_may_be_anything() -> None:
    assert await status("/me", signed(roles=7, groups=["editor"]), reader(PLAIN)) == 200


async def test_one_issuers_names_are_not_anothers() -> None:
    """Of two issuers, only the one whose policy names a claim says who is an editor."""
    partner = TokenPolicy(issuer="https://partner.example", audience="orders", clock=CLOCK)
    auth = Auth(
        verifiers=[
            TokenVerifier(POLICY, public_ring("ES256")),
            TokenVerifier(partner, public_ring("RS256"), namespace="partner:"),
        ],
        scopes=SCOPES,
    )
    told = TokenPolicy(issuer=partner.issuer, audience="orders", clock=CLOCK, roles_claim="roles")
    token = TokenIssuer(told, ring("RS256")).issue("7", roles={"editor"})

    answer = await get(make_app(auth), "/me", bearing(token))

    assert answer.json()["subject"] == "partner:7"
    assert answer.json()["roles"] == []
    assert await status("/role", token, auth) == 403
    assert await status("/role", ISSUER.issue("7", roles={"editor"}), auth) == 200


async def test_with_users_a_token_does_not_say_who_is_an_editor() -> None:
    accounts = Accounts([User(7, "ann", role="viewer")])
    auth = Auth(
        users=accounts,
        verifiers=[TokenVerifier(POLICY, public_ring("ES256"))],
        token_url="/token",
        scopes=SCOPES,
        hasher=HASHER,
    )
    token = ISSUER.issue("7", roles={"editor"}, permissions={"catalog"})

    assert (await auth.verify_access_token(token)).roles == {"editor"}
    assert await status("/role", token, auth) == 403
    assert await status("/permission", token, auth) == 403


# --- claims of hostile shape


HOSTILE: list[Any] = [
    None,
    True,
    0,
    "editor",
    "editor admin",
    {},
    {"editor": True},
    [["editor"]],
    [{"value": "editor"}],
    ["editor", None],
    ["editor", 7],
    ["editor", True],
    [""],
    ["a\nb"],
    ["a\0"],
    ["\u202e"],
    ["\ud800"],
    ["x" * 256],
    [str(number) for number in range(201)],
    ["editor"] * 201,
]


@pytest.mark.parametrize("claim", ["roles", "entitlements"])
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: str(value)[:30].encode().hex())
async def test_names_of_another_shape_are_401(
    claim: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "fastapi_kit.auth"):
        answer = await get(make_app(reader()), "/me", bearing(signed(**{claim: value})))

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert caplog.messages == [f"Access token refused: {claim} is not a list of names"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON, JSON)
@settings(max_examples=100, deadline=None)
async def test_no_claims_are_anything_but_names_or_refused(roles: Any, permissions: Any) -> None:
    try:
        claims = await reader().verify_access_token(signed(roles=roles, entitlements=permissions))
    except InvalidTokenError:
        return
    assert (claims.roles, claims.permissions) == (frozenset(roles), frozenset(permissions))


@pytest.mark.parametrize(
    "names", [[], ["editor", "editor"], ["x" * 255], ["é"], [str(number) for number in range(200)]]
)
async def test_names_just_within_the_rules_are_read(names: list[str]) -> None:
    claims = await reader().verify_access_token(signed(roles=names))

    assert claims.roles == set(names)


# --- the deny list


async def test_the_deny_list_is_asked() -> None:
    auth = reader(denylist=MemoryDenyList(clock=CLOCK))
    token = ISSUER.issue("7", roles={"editor"})

    before = await status("/role", token, auth)
    await auth.deny(await auth.verify_access_token(token))

    assert (before, await status("/role", token, auth)) == (200, 401)


class Down(MemoryDenyList):
    async def is_denied(self, jti: str, *, subject: str, issued_at: Any) -> bool:
        raise OSError("the store is down")


async def test_a_deny_list_that_is_down_is_503() -> None:
    store: DenyList = Down()

    assert await status("/me", ISSUER.issue("7"), reader(denylist=store)) == 503


async def test_a_caller_logs_out_of_this_service() -> None:
    auth = reader(denylist=MemoryDenyList(clock=CLOCK))
    app = make_app(auth)
    app.include_router(auth_router(auth, include={"logout"}))
    headers = bearing(ISSUER.issue("7"))

    async with client_of(app) as client:
        statuses = [
            (await client.get("/me", headers=headers)).status_code,
            (await client.post("/logout", headers=headers)).status_code,
            (await client.get("/me", headers=headers)).status_code,
        ]

    assert statuses == [200, 204, 401]


# --- what tells the names


async def test_log_in_and_refresh_tell_the_names_that_the_policy_has() -> None:
    """Also after a change: what was taken away is not in the next token."""
    ann = User(7, "ann", role="editor", permissions=frozenset({"catalog"}))
    ann.password_hash = HASHER.hash_blocking("pw")
    login = Auth(users=Accounts([ann]), issuer=ISSUER, token_url="/token", hasher=HASHER)
    app = FastAPI()
    refresh = RefreshTokens(MemoryRefreshStore(), clock=CLOCK)
    app.include_router(auth_router(login, refresh=refresh))

    async with client_of(app) as client:
        form = {"grant_type": "password", "username": "ann", "password": "pw"}
        first = (await client.post("/token", data=form)).json()
        ann.role = "viewer"
        form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        second = (await client.post("/refresh", data=form)).json()

    told = [await claims_of(answer["access_token"]) for answer in (first, second)]
    assert [claims.roles for claims in told] == [{"editor"}, {"viewer"}]
    assert [claims.permissions for claims in told] == [{"catalog"}, {"catalog"}]
    assert await status("/role", first["access_token"]) == 200
    assert await status("/role", second["access_token"]) == 403


async def claims_of(token: str) -> AccessClaims:
    return await reader().verify_access_token(token)


async def test_a_policy_without_claims_tells_no_names() -> None:
    token = TokenIssuer(PLAIN, ring("ES256")).issue("7", roles={"editor"}, permissions={"catalog"})

    claims = await claims_of(token)

    assert (claims.roles, claims.permissions) == (frozenset(), frozenset())


@pytest.mark.parametrize("names", [["a\n"], ["x" * 256], [str(n) for n in range(201)]])
@pytest.mark.parametrize("kind", ["roles", "permissions"])
def test_no_token_is_made_with_names_that_no_one_accepts(kind: str, names: Sequence[str]) -> None:
    options: Any = {kind: names}
    with pytest.raises(ValueError, match="are not at most 200 names"):
        ISSUER.issue("7", **options)


def test_one_name_in_place_of_a_collection_is_refused() -> None:
    with pytest.raises(TypeError, match="is one string"):
        ISSUER.issue("7", roles="admin")


def test_no_token_is_made_that_is_too_long_for_everyone() -> None:
    with pytest.raises(ValueError, match="no one accepts more than 8192"):
        ISSUER.issue("7", roles={str(number) * 80 for number in range(100, 200)})


# --- what cannot be built


@pytest.mark.parametrize("claim", ["", "a\nb", 7, "sub", "scope", "exp", "iat_us", "client_id"])
@pytest.mark.parametrize("option", ["roles_claim", "permissions_claim"])
def test_a_claim_that_cannot_hold_names_is_refused(option: str, claim: Any) -> None:
    options: Any = {option: claim}
    with pytest.raises(ConfigurationError, match=f"{option}=.* cannot hold names"):
        TokenPolicy(issuer="a", **options)


def test_one_claim_for_roles_and_permissions_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="a role would be a permission"):
        TokenPolicy(issuer="a", roles_claim="roles", permissions_claim="roles")


def test_an_issuer_without_users_is_refused() -> None:
    """Who forgets the users would let in those who are gone or inactive."""
    options: Any = {"issuer": ISSUER, "token_url": "/token"}
    with pytest.raises(ConfigurationError, match="give users= beside issuer="):
        Auth(**options)


def test_no_verifier_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="would accept no token"):
        Auth(verifiers=[])
    options: Any = {"token_url": "/token"}
    with pytest.raises(ConfigurationError, match="give issuer=, verifiers= or both"):
        Auth(**options)


def test_users_need_a_token_url() -> None:
    options: Any = {"users": Accounts(), "issuer": ISSUER}
    with pytest.raises(ConfigurationError, match="token_url is empty"):
        Auth(**options)
    with pytest.raises(ConfigurationError, match="token_url is empty"):
        reader(token_url="")


def test_there_are_no_users_and_no_passwords_to_ask_for() -> None:
    auth = reader()

    with pytest.raises(ConfigurationError, match="has no users"):
        _ = auth.users
    with pytest.raises(ConfigurationError, match="has no users"):
        _ = auth.hasher


@pytest.mark.parametrize("include", [None, {"token"}, {"refresh"}])
def test_nobody_logs_in_where_no_tokens_are_issued(include: Any) -> None:
    refresh = RefreshTokens(MemoryRefreshStore(), clock=CLOCK)

    with pytest.raises(ConfigurationError, match="issues no tokens"):
        auth_router(reader(), include=include, refresh=refresh)


# --- OpenAPI and tests


def test_openapi_shows_a_bearer_token_and_the_scopes() -> None:
    schema = make_app(reader()).openapi()

    assert schema["components"]["securitySchemes"] == {
        "HTTPBearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    assert schema["paths"]["/scope"]["get"]["security"] == [{"HTTPBearer": ["items:write"]}]
    assert schema["paths"]["/role"]["get"]["security"] == [{"HTTPBearer": []}]


def test_openapi_shows_where_the_other_service_logs_in() -> None:
    auth = reader(token_url="https://login.example/token", scheme_name="login")

    [(name, scheme)] = make_app(auth).openapi()["components"]["securitySchemes"].items()

    assert name == "login"
    assert scheme["flows"]["password"]["tokenUrl"] == "https://login.example/token"


async def test_as_user_takes_a_principal() -> None:
    auth = reader()
    app = make_app(auth)

    with as_user(app, auth, Principal("7", roles={"editor"})):
        assert (await get(app, "/role")).status_code == 200
        assert (await get(app, "/permission")).status_code == 403
    with as_user(app, auth, Principal("7", active=False)):
        assert (await get(app, "/me")).status_code == 401
