"""`Auth`: who is calling, and may they."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast, overload

from starlette.requests import HTTPConnection

from fastapi_kit.auth.audit import AuthEvent, EventName, log_event
from fastapi_kit.auth.bearer import BearerScheme, bearer_token
from fastapi_kit.auth.caller import AccessClaims, Caller
from fastapi_kit.auth.denylist import DenyList, ask_store, require_not_denied, revoke, spend
from fastapi_kit.auth.guards import CurrentUser, Guard, OptionalUser
from fastapi_kit.auth.hierarchy import RoleHierarchy
from fastapi_kit.auth.keys import KeyRing
from fastapi_kit.auth.login import check_login
from fastapi_kit.auth.names import as_names, require_scope_tokens
from fastapi_kit.auth.objects import ObjectGuard
from fastapi_kit.auth.passwords import PasswordHasher
from fastapi_kit.auth.policy import TokenPolicy, utc_now
from fastapi_kit.auth.principal import Principal, Users
from fastapi_kit.auth.purpose import PurposeClaims, PurposeTokens, require_bound, require_unbound
from fastapi_kit.auth.refusal import Refusal, refused
from fastapi_kit.auth.requirements import Requirement
from fastapi_kit.auth.secret import Secret
from fastapi_kit.auth.subjects import Subjects, TokenSubjects, UserSubjects
from fastapi_kit.auth.tokens import AnyOfVerifiers, TokenIssuer, TokenVerifier
from fastapi_kit.errors import AppError, ConfigurationError, NotFoundError
from fastapi_kit.logs import add_log_fields

__all__ = ["Auth"]

logger: logging.Logger = logging.getLogger("fastapi_kit.auth")

UserT = TypeVar("UserT")
ObjectT = TypeVar("ObjectT")

DEFAULT_ISSUER = "urn:fastapi-kit:auth"
DEFAULT_ACCESS_TTL = timedelta(minutes=30)
MEMO = "fastapi_kit.auth"
"""Key in the connection's ASGI scope. Not in its ``state``, which a server might share between
connections: there, one caller could be taken for another."""


class Auth(Generic[UserT]):
    """Log-in, current user and guards over the app's own users.

    `from_secret` makes it with one secret; this constructor with keys and policies of your own.

    Without users it is an ``Auth[Principal]``, for a service that verifies the tokens of another:
    its callers are what their tokens say, in the claims that each verifier's policy names
    (``roles_claim``, ``permissions_claim``). With users, what a user is and may do comes from the
    app alone, whatever a token says.

    It needs no registration on the app and opens nothing. Its attributes are the dependencies:

        CurrentUser = Annotated[User, Depends(auth.current_user)]
        Admin = Annotated[User, Depends(auth.require(roles("admin")))]

    Every token is verified, and the user loaded, on every request: once, however many of these a
    route uses. Why a token was refused is logged at INFO on the logger ``fastapi_kit.auth``.

    Args:
        users: The app's users; ``None`` means that tokens alone say who is calling.
        issuer: Makes the tokens, and needs users; ``None`` for a service that only verifies those
            of another.
        verifiers: A token must be accepted by one of them; ``None`` means the issuer's own policy
            and keys.
        token_url: Where clients log in: the path of `auth_router`'s ``token``, prefix included, or
            the other service's. ``None``, without users, shows a plain bearer token in OpenAPI.
        scopes: The scopes that tokens can carry, and what each allows.
        default_scopes: Given to a log-in that asks for none (RFC 6749 section 3.3).
        hierarchy: Which roles include others; ``None`` means that none does.
        denylist: Where revoked tokens are kept, asked on each request; ``None`` means that a token
            holds until it expires or its user is inactive.
        hasher: Verifies passwords; ``None`` means ``PasswordHasher()``.
        scheme_name: Name of the security scheme in OpenAPI; two `Auth` of one app differ in it.
            ``None`` means FastAPI's own: ``OAuth2PasswordBearer``, without a token URL
            ``HTTPBearer``.

    Attributes:
        current_user: Gives the user; 401 without a valid token of an active user.
        optional_user: Gives the user, or ``None`` without a token; 401 for one that does not hold.
        scopes: The scopes that tokens can carry, with their descriptions.
        default_scopes: What a log-in gets that asks for none.
        access_ttl: How long a token lives, by the issuer's policy, or the first verifier's.
        clock: Tells the time, as the tokens' policy has it.
        denylist: Where revoked tokens are kept, or ``None``.
        scheme: The dependency beneath the others, which OpenAPI shows.

    Raises:
        ConfigurationError: There is neither issuer nor verifier, or an issuer without users; no
            verifier accepts what the issuer makes, two issuers' users could be taken for each
            other, a scope cannot be asked for, the users lack a method, or the token URL is empty.
    """

    @overload
    def __init__(
        self,
        *,
        users: Users[UserT],
        issuer: TokenIssuer | None = None,
        verifiers: Sequence[TokenVerifier] | None = None,
        token_url: str,
        scopes: Mapping[str, str] | None = None,
        default_scopes: Iterable[str] = (),
        hierarchy: RoleHierarchy | None = None,
        denylist: DenyList | None = None,
        hasher: PasswordHasher | None = None,
        scheme_name: str | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self: "Auth[Principal]",
        *,
        verifiers: Sequence[TokenVerifier],
        token_url: str | None = None,
        scopes: Mapping[str, str] | None = None,
        hierarchy: RoleHierarchy | None = None,
        denylist: DenyList | None = None,
        scheme_name: str | None = None,
    ) -> None: ...

    def __init__(
        self,
        *,
        users: Users[UserT] | None = None,
        issuer: TokenIssuer | None = None,
        verifiers: Sequence[TokenVerifier] | None = None,
        token_url: str | None = None,
        scopes: Mapping[str, str] | None = None,
        default_scopes: Iterable[str] = (),
        hierarchy: RoleHierarchy | None = None,
        denylist: DenyList | None = None,
        hasher: PasswordHasher | None = None,
        scheme_name: str | None = None,
    ) -> None:
        if token_url == "" or (token_url is None and users is not None):
            raise ConfigurationError(
                "token_url is empty; give the token route's path, for example '/auth/token'"
            )
        self._subjects: Subjects[UserT] = _subjects_of(users, issuer)
        self._users = users
        self._hasher = PasswordHasher() if hasher is None and users is not None else hasher
        self.scopes: Mapping[str, str] = MappingProxyType(dict(scopes or {}))
        require_scope_tokens(self.scopes)
        self.default_scopes: frozenset[str] = self._declared(default_scopes, ConfigurationError)
        self.denylist = denylist
        self._hierarchy = hierarchy
        self._issuer = issuer
        self._verifier, policy = _verifier_of(issuer, verifiers)
        self._purposes = None if issuer is None else PurposeTokens(issuer)
        self.access_ttl: timedelta = policy.access_ttl
        self.clock: Callable[[], datetime] = policy.clock
        self.scheme: BearerScheme[UserT] = BearerScheme(
            self.identify,
            token_url=token_url,
            scopes=self.scopes,
            scheme_name=scheme_name,
            asks_store=denylist is not None,
            unfit_for_production=_unfitness_of(self._hasher),
        )
        self._guards: dict[Requirement, Guard[UserT]] = {}
        self._object_guards: dict[tuple[object, ...], Any] = {}
        self.current_user: CurrentUser[UserT] = CurrentUser(self.scheme)
        self.optional_user: OptionalUser[UserT] = OptionalUser(self.scheme)

    @property
    def users(self) -> Users[UserT]:
        """The app's users.

        Raises:
            ConfigurationError: This `Auth` has none.
        """
        if self._users is None:
            raise ConfigurationError(_NO_USERS)
        return self._users

    @property
    def hasher(self) -> PasswordHasher:
        """Hashes the passwords; use it where users register.

        Raises:
            ConfigurationError: This `Auth` has no users, and so no passwords.
        """
        if self._hasher is None:
            raise ConfigurationError(_NO_USERS)
        return self._hasher

    @property
    def issues_tokens(self) -> bool:
        """Whether users can log in here; ``False`` where tokens of others are verified only."""
        return self._issuer is not None

    @classmethod
    def from_secret(
        cls,
        secret: Secret,
        *,
        users: Users[UserT],
        token_url: str,
        scopes: Mapping[str, str] | None = None,
        default_scopes: Iterable[str] = (),
        issuer: str = DEFAULT_ISSUER,
        audience: str | None = None,
        access_ttl: timedelta = DEFAULT_ACCESS_TTL,
        leeway: timedelta = timedelta(0),
        hierarchy: RoleHierarchy | None = None,
        denylist: DenyList | None = None,
        hasher: PasswordHasher | None = None,
        clock: Callable[[], datetime] = utc_now,
        scheme_name: str | None = None,
    ) -> "Auth[UserT]":
        """An `Auth` whose tokens are signed by HS256 with one secret.

        Args:
            secret: 32 random bytes or more, as ``pydantic.SecretStr``, str or bytes. Whoever knows
                it can be any user.
            users: Finds the app's users.
            token_url: As for `Auth`.
            scopes: As for `Auth`.
            default_scopes: As for `Auth`.
            issuer: ``iss`` of the tokens. Give each service that shares a secret its own.
            audience: ``aud`` of the tokens; ``None`` means the issuer.
            access_ttl: How long a token lives, from a second to 366 days. A stolen one holds as
                long where there is no deny list; without refresh tokens it is how often users log
                in.
            leeway: As `TokenPolicy.leeway`.
            hierarchy: As for `Auth`.
            denylist: As for `Auth`.
            hasher: As for `Auth`.
            clock: Tells the time, aware; tests give their own.
            scheme_name: As for `Auth`; ``None`` means ``OAuth2PasswordBearer``.

        Raises:
            ConfigurationError: The secret is unsafe, a scope cannot be asked for, the users lack a
                method, or another value is out of range.
        """
        policy = TokenPolicy(
            issuer=issuer, audience=audience, access_ttl=access_ttl, leeway=leeway, clock=clock
        )
        return cls(
            users=users,
            issuer=TokenIssuer(policy, KeyRing.from_secret(None, secret)),
            token_url=token_url,
            scopes=scopes,
            default_scopes=default_scopes,
            hierarchy=hierarchy,
            denylist=denylist,
            hasher=hasher,
            scheme_name=scheme_name,
        )

    def require(self, requirement: Requirement) -> Guard[UserT]:
        """A dependency that gives the user if they meet the requirement; else 401, or 403.

        Guards add up: of a router and of a route, each must let the caller through.

        Args:
            requirement: Made by `roles`, `scopes`, `permissions` and `fresh`, joined with ``&`` and ``|``.

        Raises:
            ConfigurationError: It is something else, or asks for a scope that is not declared.
        """
        if not isinstance(requirement, Requirement):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"require({requirement!r}) is no requirement; write require(roles('admin'))"
            )
        self._declared(requirement.mentioned_scopes(), ConfigurationError)
        # The same again, so that FastAPI, which looks each up several times a request, compares
        # and hashes identities.
        return self._guards.setdefault(requirement, Guard(self.scheme, requirement))

    def require_object(
        self,
        load: Callable[..., Any],
        predicate: Callable[[UserT, ObjectT], bool | Awaitable[bool]],
        *,
        hidden: bool = False,
        missing: type[AppError] = NotFoundError,
    ) -> ObjectGuard[UserT, ObjectT]:
        """A dependency that gives an object if the user may have it; else 401, 403, or 404.

            EditableItem = Annotated[Item, Depends(auth.require_object(load_item, may_edit))]

        The caller is known before the object is looked up.

        Args:
            load: A dependency that gives the object, or ``None`` for none.
            predicate: Takes the user and the object and gives ``True`` or ``False``; may be async.
                Whatever else it gives is an error, and so is what it raises: neither lets anyone
                through. The first line of its docstring tells in OpenAPI who may.
            hidden: Answer a refused caller as if there were no such object. Then let ``load`` give
                ``None`` for none, rather than raise an error that could be told apart.
            missing: The error for no such object.

        Raises:
            ConfigurationError: ``load`` or ``predicate`` cannot be called.
        """
        key = (load, predicate, hidden, missing)
        made: ObjectGuard[UserT, ObjectT] = ObjectGuard(self.current_user, *key)
        known: ObjectGuard[UserT, ObjectT] = self._object_guards.setdefault(key, made)
        return known

    def create_access_token(
        self,
        *,
        subject: str,
        scopes: Iterable[str] = (),
        roles: Iterable[str] = (),
        permissions: Iterable[str] = (),
        ttl: timedelta | None = None,
        auth_time: datetime | None = None,
    ) -> str:
        """A signed access token (RFC 9068) for this subject; no user is looked up.

        Args:
            subject: As `Principal.subject`.
            scopes: Carried by the token; each must be declared.
            roles: As `TokenIssuer.issue`: told to services without users of their own.
            permissions: Likewise.
            ttl: How long it lives, from a second to 366 days; ``None`` means ``access_ttl``.
            auth_time: When the user proved who they are, aware, for ``fresh()``: now at log-in, and
                still that moment when a token is refreshed. ``None`` makes a token that is never
                fresh.

        Raises:
            ValueError: The subject cannot be one, a scope is not declared, the lifetime is out of
                range, ``auth_time`` is naive, or the names are too many for a token.
            TypeError: One string came in place of a collection.
            ConfigurationError: This `Auth` has no issuer.
        """
        granted = self._declared(scopes, ValueError)
        if self._issuer is None:
            raise ConfigurationError("this Auth only verifies; give it issuer=TokenIssuer(...)")
        return self._issuer.issue(
            subject,
            scopes=granted,
            roles=roles,
            permissions=permissions,
            ttl=ttl,
            auth_time=auth_time,
        )

    async def verify_access_token(self, token: str) -> AccessClaims:
        """What an access token says, once it is found to hold (RFC 9068 section 4).

        The deny list is asked. It does not ask whether the user is still there and active:
        `identify` does.

        Raises:
            InvalidTokenError: The token does not hold. The log has the reason.
            ServiceUnavailableError: The deny list does not answer.
        """
        try:
            claims = self._verifier.judge(token)
            if self.denylist is not None:
                await require_not_denied(self.denylist, claims)
        except Refusal as refusal:
            raise refused(refusal) from None
        return claims

    async def deny(self, claims: AccessClaims) -> None:
        """Refuse this access token from now on (RFC 7009 section 2.1), until it has expired.

        Raises:
            ServiceUnavailableError: The deny list does not answer: the token may still hold.
            ConfigurationError: This `Auth` has no deny list.
        """
        await revoke(self._denylist(), claims.token_id, claims.expires_at)

    async def end_all_sessions(self, subject: str) -> None:
        """Refuse every access token of the subject that was issued before this moment.

        To the microsecond, for our own tokens; those of others count by the second of their
        ``iat``.

        For a password change, a stolen device, "log out everywhere". Refresh tokens are another
        store's: `auth_router`'s ``logout_all`` ends both.

        Raises:
            ServiceUnavailableError: The deny list does not answer: the tokens may still hold.
            ConfigurationError: This `Auth` has no deny list.
        """
        await ask_store(self._denylist().end_sessions(subject, at=self.clock()))

    def purpose_token(
        self, purpose: str, *, subject: str, ttl: timedelta, bound_to: str | None = None
    ) -> str:
        """A signed token for one purpose, to be sent in a link; never accepted as access token.

        Make it good for one use: bind it to what its use changes (``bound_to=`` the present
        password hash, the address to be confirmed), or verify it with ``single_use=True``. Its
        content is signed, not hidden.

        Args:
            purpose: Its name, such as ``"password-reset"``: lower-case letters, digits, hyphens. A
                token of another purpose is never accepted.
            subject: As `Principal.subject`.
            ttl: How long it lives, from a second to 366 days; links in mails want an hour.
            bound_to: Told again when the token is verified; it then holds only if it is the same.
                Only a digest of it is in the token.

        Raises:
            ValueError: The subject cannot be one, or the lifetime is out of range.
            ConfigurationError: The purpose is no such name, or this `Auth` has no issuer.
        """
        return self._purpose_tokens().issue(purpose, subject, ttl, bound_to)

    async def verify_purpose_token(
        self,
        purpose: str,
        token: str,
        *,
        bound_to: Callable[[str], Awaitable[str | None]] | None = None,
        single_use: bool = False,
    ) -> PurposeClaims:
        """What a purpose token says, once it is found to hold.

        Args:
            purpose: As for `purpose_token`.
            token: As it came.
            bound_to: Gives what the token of this subject must be bound to; ``None`` from it
                refuses. Use `password_hash_of` for tokens that are bound to the password hash.
                Without it, a token that is bound to anything is refused.
            single_use: Spend the token: of all who verify it, in this moment or later, one
                succeeds. Needs a deny list.

        Raises:
            InvalidTokenError: It does not hold. The log has the reason.
            ServiceUnavailableError: The deny list does not answer.
            ConfigurationError: The purpose is no name, or an issuer or a deny list is missing.
        """
        store = self._denylist() if single_use else None
        try:
            claims, every = self._purpose_tokens().judge(purpose, token)
            if bound_to is not None:
                require_bound(every, await bound_to(claims.subject))
            else:
                require_unbound(every)
            if store is not None:
                await spend(store, claims.token_id, claims.expires_at)
        except Refusal as refusal:
            raise refused(refusal, what="Purpose token") from None
        return claims

    async def password_hash_of(self, subject: str) -> str | None:
        """The stored password hash of an active user, or ``None``; for `verify_purpose_token`.

        Raises:
            ConfigurationError: This `Auth` has no users.
        """
        user = await self.users.get(subject)
        if user is None or not self.users.principal(user).active:
            return None
        return self.users.password_hash(user)

    async def identify(self, connection: HTTPConnection) -> Caller[UserT] | None:
        """Who is calling, found once per connection; ``None`` when no bearer token came.

        Routes use `current_user` and its siblings; this is for code outside of them.

        Raises:
            InvalidTokenError: A token came and does not hold, or its user is gone or inactive.
            ServiceUnavailableError: The deny list does not answer.
        """
        memo: dict[object, Caller[UserT] | None] = connection.scope.setdefault(MEMO, {})
        if self not in memo:
            try:
                memo[self] = await self._caller_of(connection)
            except Refusal as refusal:
                raise refused(refusal) from None
        return memo[self]

    async def authenticate_user(self, login: str, password: str) -> UserT | None:
        """The active user whom this log-in name and password fit, or ``None``.

        An unknown name, a wrong password, a user without a password and an inactive one take the
        same work and give the same answer; the log tells them apart. A password hash of an old
        scheme or of other parameters is replaced after success.

        Nothing limits how often it is asked, and nothing notices a password that is changed at this
        moment: `auth_router`'s token route does both for itself.

        Args:
            login: The name as typed; one with control characters is nobody's.
            password: As typed; one that cannot be hashed is wrong.

        Raises:
            ServiceUnavailableError: Too many log-ins wait already.
            ConfigurationError: This `Auth` has no users.
        """
        result = await check_login(self.users, self.hasher, login, password)
        name: EventName = "login" if result.reason is None else "login_refused"
        log_event(AuthEvent(name=name, subject=result.subject, reason=result.reason))
        return result.user

    def overrides_for(
        self, user: UserT, *, scopes: Iterable[str] | None = None
    ) -> dict[Callable[..., Any], Callable[..., Any]]:
        """Entries for ``app.dependency_overrides`` that make this user the caller, in tests.

        Guards keep running, and an inactive user is refused. `fastapi_kit.testing.as_user` sets
        these and takes them away again.

        Args:
            user: Who is calling.
            scopes: What their token carries; ``None`` means every declared scope.

        Raises:
            ValueError: A scope is not declared.
            TypeError: ``scopes`` is one string instead of a collection.
        """
        granted = self._declared(self.scopes if scopes is None else scopes, ValueError)

        async def act(connection: HTTPConnection) -> Caller[UserT]:
            subject = self._subjects.principal(user).subject
            try:
                caller = self._admitted(user, self._pretended(subject, granted))
            except Refusal as refusal:
                raise refused(refusal) from None
            connection.scope.setdefault(MEMO, {})[self] = caller
            return caller

        return {self.scheme: act}

    async def _caller_of(self, connection: HTTPConnection) -> Caller[UserT] | None:
        token = bearer_token(connection)
        if token is None:
            return None
        claims = self._verifier.judge(token)
        if self.denylist is not None:
            await require_not_denied(self.denylist, claims)
        user = await self._subjects.find(claims)
        if user is None:
            raise Refusal("no user has this subject")
        return self._admitted(user, claims)

    def _pretended(self, subject: str, scopes: frozenset[str]) -> AccessClaims:
        now = self.clock()
        return AccessClaims(
            subject=subject,
            scopes=scopes,
            token_id="as-user",  # noqa: S106  # no token came
            issued_at=now,
            expires_at=now + self.access_ttl,
            auth_time=now,
            verified_at=now,
        )

    def _admitted(self, user: UserT, claims: AccessClaims) -> Caller[UserT]:
        principal = self._subjects.principal(user)
        if principal.subject != claims.subject:
            raise Refusal("users.get() gave a user whose principal has another subject")
        if not principal.active:
            raise Refusal("the user is not active")
        if self._hierarchy is not None:
            principal = principal.with_roles(self._hierarchy.expand(principal.roles))
        add_log_fields(**{"enduser.id": principal.subject})
        return Caller(user, principal, claims)

    def _denylist(self) -> DenyList:
        if self.denylist is None:
            raise ConfigurationError("this Auth has no deny list; give it denylist=...")
        return self.denylist

    def _purpose_tokens(self) -> PurposeTokens:
        if self._purposes is None:
            raise ConfigurationError("this Auth only verifies; give it issuer=TokenIssuer(...)")
        return self._purposes

    def _declared(self, names: Iterable[str], error: type[ValueError]) -> frozenset[str]:
        found = as_names("scopes", names)
        if unknown := found - self.scopes.keys():
            raise error(
                f"scopes {sorted(unknown)} are not declared; Auth has {sorted(self.scopes)}: "
                "add them to its scopes={...}"
            )
        return found


def _unfitness_of(hasher: PasswordHasher | None) -> str | None:
    if not getattr(hasher, "only_for_tests", False):  # None has none, nor has a fake
        return None
    return (
        "this Auth has PasswordHasher.for_tests(), which protects nothing; give it "
        "hasher=PasswordHasher.for_environment(settings.environment)"
    )


_NO_USERS = "this Auth has no users: its callers are what their tokens say; give it users=..."


def _subjects_of(users: Users[UserT] | None, issuer: TokenIssuer | None) -> Subjects[UserT]:
    if users is not None:
        _check_users(users)
        return UserSubjects(users)
    if issuer is not None:
        # Else whoever forgets the users would let in those who are gone or inactive.
        raise ConfigurationError("who issues tokens knows the users; give users= beside issuer=")
    return cast("Subjects[UserT]", TokenSubjects())  # by the overloads, UserT is Principal here


def _verifier_of(
    issuer: TokenIssuer | None, verifiers: Sequence[TokenVerifier] | None
) -> tuple[TokenVerifier | AnyOfVerifiers, TokenPolicy]:
    if verifiers is None:
        if issuer is None:
            raise ConfigurationError(
                "no token could be made or accepted; give issuer=, verifiers= or both"
            )
        verifiers = [TokenVerifier(issuer.policy, issuer.keys)]
    several = AnyOfVerifiers(verifiers)
    if issuer is not None:
        try:
            several.judge(issuer.issue("self-test"))
        except Refusal as refusal:
            raise ConfigurationError(
                f"no verifier accepts what the issuer makes ({refusal.reason}); "
                "give one TokenVerifier the issuer's policy and keys"
            ) from None
    policy = verifiers[0].policy if issuer is None else issuer.policy
    return (verifiers[0] if len(verifiers) == 1 else several), policy


_USERS_METHODS = ("get", "get_by_login", "password_hash", "set_password_hash", "principal")


def _check_users(users: object) -> None:
    if isinstance(users, type):
        raise ConfigurationError(f"users={users.__name__} is a class; give an instance of it")
    missing = [name for name in _USERS_METHODS if not callable(getattr(users, name, None))]
    if missing:
        raise ConfigurationError(
            f"users={type(users).__name__} lacks {', '.join(missing)}; see fastapi_kit.auth.Users"
        )
