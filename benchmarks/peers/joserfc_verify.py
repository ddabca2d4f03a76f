"""joserfc: verifies one token with the same checks, by a key that is parsed once."""

from collections.abc import Callable
from functools import partial

from joserfc import jwt
from joserfc.errors import InvalidClaimError
from joserfc.jwk import ECKey, Key, OctKey, RSAKey

from benchmarks.accounts import ADMIN, AUDIENCE, ISSUER, keys, token

KINDS: dict[str, type[OctKey | RSAKey | ECKey]] = {
    "HS256": OctKey,
    "RS256": RSAKey,
    "ES256": ECKey,
}


def verify(algorithm: str) -> Callable[[], object]:
    key: Key = KINDS[algorithm].import_key(keys(algorithm).verifying)
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        jti={"essential": True},
    )
    text = token(algorithm, ADMIN)

    def work() -> object:
        found = jwt.decode(text, key, algorithms=[algorithm])
        if found.header.get("typ") != "at+jwt":
            raise InvalidClaimError("typ")
        registry.validate(found.claims)
        return found.claims

    return work


hs256, rs256, es256 = (partial(verify, algorithm) for algorithm in ("HS256", "RS256", "ES256"))
