"""Headers that tell browsers to be careful, where the app has not said otherwise."""

from collections.abc import Awaitable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_kit._asgi import RawHeader, unless_twice
from fastapi_kit._misuse import ConfigurationError

_ONE_YEAR_SECONDS = 31_536_000


@dataclass(frozen=True, kw_only=True)
class SecurityHeaders:
    """Which security headers are sent; each only where the answer does not carry it already.

    The defaults suit an API (OWASP REST Security Cheat Sheet). ``None`` leaves a header out.

    Attributes:
        content_security_policy: For answers that are no HTML: nothing may be loaded or framed.
        html_content_security_policy: For HTML pages. The default forbids only framing, so that
            ``/docs`` keeps working.
        frame_options: ``X-Frame-Options``, for browsers that know no ``frame-ancestors``.
        referrer_policy: ``Referrer-Policy``.
        hsts_max_age_seconds: ``Strict-Transport-Security``, sent on https only (RFC 6797).
        hsts_include_subdomains: Whether HSTS holds for subdomains too.
    """

    content_security_policy: str | None = "default-src 'none'; frame-ancestors 'none'"
    html_content_security_policy: str | None = "frame-ancestors 'none'"
    frame_options: str | None = "DENY"
    referrer_policy: str | None = "no-referrer"
    hsts_max_age_seconds: int | None = _ONE_YEAR_SECONDS
    hsts_include_subdomains: bool = False

    def __post_init__(self) -> None:
        if self.hsts_max_age_seconds is not None and self.hsts_max_age_seconds < 0:
            raise ConfigurationError(
                f"hsts_max_age_seconds={self.hsts_max_age_seconds} is negative; "
                "use None to send no header, or 0 to withdraw it"
            )
        named = self._named(html=False, secure=False) + self._named(html=True, secure=False)
        for name, value in named:
            if not value.isascii() or not value.isprintable():
                raise ConfigurationError(
                    f"{value!r} cannot stand in the header {name}; use printable ASCII"
                )

    def _named(self, *, html: bool, secure: bool) -> list[tuple[str, str]]:
        policy = self.html_content_security_policy if html else self.content_security_policy
        hsts = None
        if secure and self.hsts_max_age_seconds is not None:
            hsts = f"max-age={self.hsts_max_age_seconds}"
            hsts += "; includeSubDomains" if self.hsts_include_subdomains else ""
        named = [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", self.frame_options),
            ("referrer-policy", self.referrer_policy),
            ("content-security-policy", policy),
            ("strict-transport-security", hsts),
        ]
        return [(name, value) for name, value in named if value is not None]

    def encoded(self, *, html: bool, secure: bool) -> list[RawHeader]:
        """The headers of one kind of answer, as ASGI wants them."""
        return [(n.encode(), v.encode()) for n, v in self._named(html=html, secure=secure)]


class SecurityHeadersMiddleware:
    """Adds security headers to HTTP answers that do not carry them.

    Args:
        app: The ASGI app inside.
        headers: Which ones; ``None`` means the defaults of `SecurityHeaders`.

    Raises:
        ConfigurationError: At start: the stack has two of these.
    """

    def __init__(self, app: ASGIApp, *, headers: SecurityHeaders | None = None) -> None:
        headers = SecurityHeaders() if headers is None else headers
        self.app: ASGIApp = unless_twice(SecurityHeadersMiddleware, app)
        self._sets = {
            (html, secure): headers.encoded(html=html, secure=secure)
            for html in (False, True)
            for secure in (False, True)
        }
        self._names = {name for pairs in self._sets.values() for name, _ in pairs}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        secure = scope.get("scheme") == "https"

        # Not async itself, which would cost a coroutine for each message.
        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                sent = message.get("headers", ())
                headers = [*sent, *self._missing(sent, secure=secure)]
                message = dict(message, headers=headers)
            return send(message)

        await self.app(scope, receive, send_with_headers)

    def _missing(self, sent: list[RawHeader], *, secure: bool) -> list[RawHeader]:
        html = False
        present: set[bytes] | None = None
        for name, value in sent:
            if name == b"content-type":
                html = value.startswith((b"text/html", b"application/xhtml"))
            elif name in self._names:
                present = {name} if present is None else present | {name}
        wanted = self._sets[html, secure]
        if present is None:
            return wanted
        return [pair for pair in wanted if pair[0] not in present]
