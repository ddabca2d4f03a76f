"""One layer in place of three: the answers are the same."""

from typing import Any

import pytest
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from fastapi_kit.middleware import (
    RequestIdMiddleware,
    SecurityHeaders,
    SecurityHeadersMiddleware,
    TimingMiddleware,
)
from fastapi_kit.middleware.answer_headers import AnswerHeadersMiddleware
from tests.logs.capture import get

OWN = {"X-Request-ID": "other", "X-Frame-Options": "SAMEORIGIN", "Server-Timing": "db;dur=1"}
TIMES = {"server-timing", "x-process-time"}


def three_layers(app: ASGIApp) -> ASGIApp:
    timed = TimingMiddleware(SecurityHeadersMiddleware(app), process_time=True)
    return RequestIdMiddleware(timed)


@pytest.mark.parametrize("url", ["http://test/", "https://test/"])
@pytest.mark.parametrize(
    "answer", [PlainTextResponse("a"), HTMLResponse("a"), Response("a", headers=OWN)]
)
async def test_its_headers_are_those_of_the_three(answer: Any, url: str) -> None:
    one = AnswerHeadersMiddleware(answer, process_time=True, headers=SecurityHeaders())
    sent = {"X-Request-ID": "abc-1"}

    ours = (await get(one, url, headers=sent)).headers.multi_items()
    theirs = (await get(three_layers(answer), url, headers=sent)).headers.multi_items()

    assert sorted(name for name, _ in ours) == sorted(name for name, _ in theirs)
    assert {pair for pair in ours if pair[0] not in TIMES} == {
        pair for pair in theirs if pair[0] not in TIMES
    }
