"""Access tokens (RFC 9068): who makes them, and who tells whether they hold."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fastapi_kit.auth._jose import Verifier, sign
from fastapi_kit.auth.caller import AccessClaims
from fastapi_kit.auth.claims import MAX_NAMES, AccessRules, are_claim_names, new_claims
from fastapi_kit.auth.compact import MAX_TOKEN_LENGTH
from fastapi_kit.auth.keys import KeyRing
from fastapi_kit.auth.names import as_names
from fastapi_kit.auth.policy import TokenPolicy, ttl_fault
from fastapi_kit.auth.principal import is_subject
from fastapi_kit.auth.refusal import Refusal, refused
from fastapi_kit.errors import ConfigurationError

__all__ = ["AnyOfVerifiers", "TokenIssuer", "TokenVerifier"]

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105  # RFC 9068 section 2.1


class TokenIssuer:
    """Makes access tokens (RFC 9068 section 2); ``Auth(issuer=TokenIssuer(policy, keys), ...)``.

    Args:
        policy: What the tokens say.
        keys: The ring whose key signs.

    Raises:
        ConfigurationError: The ring holds public keys only.
    """

    def __init__(self, policy: TokenPolicy, keys: KeyRing) -> None:
        self.policy = policy
        self.keys = keys
        self._key = keys.signing

    def issue(
        self,
        subject: str,
        *,
        scopes: Iterable[str] = (),
        roles: Iterable[str] = (),
        permissions: Iterable[str] = (),
        ttl: timedelta | None = None,
        auth_time: datetime | None = None,
    ) -> str:
        """A new access token.

        Args:
            subject: ``sub``, 1 to 255 printable characters.
            scopes: What it may be used for.
            roles: What the subject is; left out unless the policy has a ``roles_claim``.
            permissions: What the subject may do; left out unless the policy has a
                ``permissions_claim``.
            ttl: How long it lives, from a second to 366 days; ``None`` means the policy's
                ``access_ttl``.
            auth_time: When the user proved who they are, aware, told to the microsecond; ``None``
                says nothing about it.

        Raises:
            ValueError: The subject cannot be one, the lifetime is out of range, ``auth_time`` is
                naive, there are more than 200 roles or permissions or one is not 1 to 255 printable
                characters, or the token would be longer than 8 KiB.
            TypeError: One string came in place of a collection.
        """
        ttl = self.policy.access_ttl if ttl is None else ttl
        require_issuable(subject, ttl)
        claims = new_claims(self.policy, subject, ttl)
        # RFC 9068 wants a client; this issuer knows none but the app's own log-in.
        claims["client_id"] = self.policy.accepted_audience
        if names := " ".join(sorted(scopes)):
            claims["scope"] = names
        _tell(claims, self.policy.roles_claim, as_names("roles", roles))
        _tell(claims, self.policy.permissions_claim, as_names("permissions", permissions))
        if auth_time is not None:
            if auth_time.tzinfo is None:
                raise ValueError(f"auth_time={auth_time} is naive; give datetime.now(UTC)")
            seconds = auth_time.timestamp()
            claims["auth_time"] = int(seconds) if seconds.is_integer() else seconds
        token = sign(claims, self._key, typ=ACCESS_TOKEN_TYPE)
        if len(token) > MAX_TOKEN_LENGTH:
            raise ValueError(
                f"the token has {len(token)} bytes, and no one accepts more than "
                f"{MAX_TOKEN_LENGTH}; put fewer scopes, roles or permissions in it"
            )
        return token


def _tell(claims: dict[str, object], claim: str | None, names: frozenset[str]) -> None:
    if claim is None or not names:
        return
    if not are_claim_names(names):
        raise ValueError(
            f"{claim}={sorted(names)[:3]!r}... of {len(names)} are not at most {MAX_NAMES} names "
            "of 1 to 255 printable characters"
        )
    claims[claim] = sorted(names)


def require_issuable(subject: str, ttl: timedelta) -> None:
    """Refuse to make a token that no one would accept.

    Raises:
        ValueError: The subject cannot be one, or the lifetime is out of range.
    """
    if not is_subject(subject):
        raise ValueError(f"subject={subject!r} is not a string of 1 to 255 printable characters")
    if fault := ttl_fault(ttl):
        raise ValueError(fault)


class TokenVerifier:
    """Tells whether an access token holds, and what it says (RFC 9068 section 4).

    Args:
        policy: What its tokens must say.
        keys: The ring that verifies their signatures.
        namespace: Put before ``sub`` and ``jti``. Two issuers count their users each for
            themselves: without it, user 1 of a partner would be user 1 of ours.

    Raises:
        ConfigurationError: The namespace is not empty and does not end in a colon.
    """

    def __init__(self, policy: TokenPolicy, keys: KeyRing, *, namespace: str = "") -> None:
        if namespace and not (is_subject(namespace) and namespace.endswith(":")):
            raise ConfigurationError(
                f'namespace={namespace!r} does not end in a colon; write namespace="partner:"'
            )
        self.policy = policy
        self.keys = keys
        self.namespace = namespace
        self._verifier = Verifier(keys.keys, typ=ACCESS_TOKEN_TYPE)
        self._rules = AccessRules(policy)

    def verify(self, token: str) -> AccessClaims:
        """What the token says. Nothing is asked of users or of a deny list.

        Raises:
            InvalidTokenError: It does not hold. The log of ``fastapi_kit.auth`` has the reason.
        """
        try:
            return self.judge(token)
        except Refusal as refusal:
            raise refused(refusal) from None

    def judge(self, token: object) -> AccessClaims:
        """As `verify`, with the reason.

        Raises:
            Refusal: It does not hold.
        """
        claims = self._rules.judge(self._verifier.verify(token))
        return self._named(claims) if self.namespace else claims

    def _named(self, claims: AccessClaims) -> AccessClaims:
        subject, token_id = self.namespace + claims.subject, self.namespace + claims.token_id
        if not (is_subject(subject) and is_subject(token_id)):
            raise Refusal("sub or jti is too long with its namespace")
        return replace(claims, subject=subject, token_id=token_id)


class AnyOfVerifiers:
    """Verifiers of which one must accept.

    Raises:
        ConfigurationError: There is none; or two issuers' subjects could be taken for each other.
    """

    def __init__(self, verifiers: Sequence[TokenVerifier]) -> None:
        if not verifiers:
            raise ConfigurationError("verifiers=[] would accept no token; give one or more")
        self._verifiers = tuple(verifiers)
        self._foreign = tuple({v.namespace for v in verifiers} - {""})
        issuers: dict[str, str] = {}
        for verifier in verifiers:
            namespace, issuer = verifier.namespace, verifier.policy.issuer
            if issuers.setdefault(namespace, issuer) != issuer:
                raise ConfigurationError(
                    f"the issuers {issuers[namespace]!r} and {issuer!r} share "
                    f"namespace={namespace!r}, so that user 1 of one would be user 1 of the other; "
                    'give one TokenVerifier(..., namespace="partner:")'
                )
            if any(o != namespace and o.startswith(namespace) for o in self._foreign if namespace):
                raise ConfigurationError(
                    f"another namespace starts with {namespace!r}, so that their subjects could be "
                    "taken for each other; rename one"
                )

    def judge(self, token: object) -> AccessClaims:
        """What the token says, by the first verifier that accepts it.

        Raises:
            Refusal: None does.
        """
        reasons: list[str] = []
        for verifier in self._verifiers:
            try:
                claims = verifier.judge(token)
            except Refusal as refusal:
                if refusal.reason not in reasons:
                    reasons.append(refusal.reason)
                continue
            if not verifier.namespace and claims.subject.startswith(self._foreign):
                reasons.append("the subject is in the namespace of another issuer")
                continue
            return claims
        raise Refusal("; ".join(reasons))
