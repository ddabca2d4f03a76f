"""An id for every request: on its answer, in its log lines, in its problems."""

import os
import re
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_kit._asgi import RESPONSE_STARTS, RawHeader, unless_twice
from fastapi_kit._misuse import ConfigurationError
from fastapi_kit.logs.context import RequestContext, context_of, current

# Anything else could forge log lines or headers, or bloat them.
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,128}").fullmatch
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch  # RFC 9110 section 5.6.2

_BYTES = 16
_AT_ONCE = 256
# Asking the system for random bits costs more than all else here, so it is asked for many at once.
_ready: list[str] = []

if hasattr(os, "register_at_fork"):  # pragma: no branch  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_ready.clear)  # or both processes would use these


def new_request_id() -> str:
    """128 random bits as 32 hexadecimal digits."""
    try:
        return _ready.pop()  # atomic: no two threads get the same
    except IndexError:
        first, *others = os.urandom(_AT_ONCE * _BYTES).hex("-", _BYTES).split("-")
        _ready.extend(others)
        return first


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ACCEPTED(value) is not None


class RequestIdMiddleware:
    """Gives every HTTP request and WebSocket an id, and its answer the header that tells it.

    An id that the caller sends is kept if it matches ``[A-Za-z0-9._-]{1,128}``; any other is
    replaced. `fastapi_kit.logs.get_request_id` gives it to your code.

    Args:
        app: The ASGI app inside.
        header_name: The header that is read and written.
        new_id: Makes an id for a request that brings none; called once more when this is built,
            to see that its ids match too.

    Raises:
        ConfigurationError: The header's name is none, ``new_id`` makes ids that do not match.
            At start: the stack has two of these.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        header_name: str = "X-Request-ID",
        new_id: Callable[[], str] = new_request_id,
    ) -> None:
        if not _TOKEN(header_name):
            raise ConfigurationError(
                f"header_name={header_name!r} is not a header name; use one such as 'X-Request-ID'"
            )
        if new_id is not new_request_id and not _is_id(sample := new_id()):
            raise ConfigurationError(
                f"new_id made {sample!r}, which does not match [A-Za-z0-9._-]{{1,128}}; "
                "leave it out for random ids"
            )
        self.app: ASGIApp = unless_twice(RequestIdMiddleware, app)
        self._header_name = header_name
        self._name = header_name.lower().encode()
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI)."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        context = self._identified(scope)

        # Not async itself, which would cost a coroutine for each message.
        def send_with_id(message: Message) -> Awaitable[None]:
            if message["type"] in RESPONSE_STARTS:
                headers = self._with_id(message.get("headers", ()), context)
                message = dict(message, headers=headers)
            return send(message)

        token = current.set(context)
        try:
            await self.app(scope, receive, send_with_id)
        finally:
            current.reset(token)

    def _identified(self, scope: Scope) -> RequestContext:
        context = context_of(scope)
        if not context.request_id:
            name = self._name
            for present, value in scope["headers"]:
                if present == name:
                    sent = str(value, "latin-1")
                    context.request_id = sent if _ACCEPTED(sent) else self._new_id()
                    break
            else:
                context.request_id = self._new_id()
            context.id_header = self._header_name
        return context

    def _with_id(self, headers: list[RawHeader], context: RequestContext) -> list[RawHeader]:
        name = self._name
        for present, _ in headers:
            if present == name:  # an id that the app copied from elsewhere contradicts ours
                headers = [pair for pair in headers if pair[0] != name]
                break
        return [*headers, (name, context.request_id.encode())]
