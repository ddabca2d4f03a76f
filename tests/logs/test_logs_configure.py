"""configure_logging: one handler on the root logger, whatever else is there."""

import io
import json
import logging
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from fastapi_kit.errors import ConfigurationError, add_error_handlers
from fastapi_kit.logs import ConsoleFormatter, JsonFormatter, configure_logging
from fastapi_kit.logs.configure import adopt_uvicorn
from fastapi_kit.middleware import AccessLogMiddleware
from tests.logs.capture import LogOutput

pytestmark = pytest.mark.usefixtures("logging_restored")


def handlers_of_ours() -> list[logging.Handler]:
    return [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler.formatter, JsonFormatter | ConsoleFormatter)
    ]


def test_called_again_it_replaces_its_own_handler_only() -> None:
    foreign = logging.NullHandler()
    logging.getLogger().addHandler(foreign)

    for _ in range(3):
        configure_logging()
    configure_logging(format="console")

    [ours] = handlers_of_ours()
    assert isinstance(ours.formatter, ConsoleFormatter)
    assert foreign in logging.getLogger().handlers


@pytest.mark.parametrize("level", ["DEBUG", "warning", "Error"])
def test_the_level_is_the_root_loggers(level: str) -> None:
    configure_logging(level)

    assert logging.getLevelName(logging.getLogger().level) == level.upper()


@pytest.mark.parametrize("level", ["", "VERBOSE", "NOTSET", "10", 10, None])
def test_an_unknown_level_is_refused(level: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"log level .* is not one of CRITICAL, ERROR"):
        configure_logging(level)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match="log format 'xml' is not one of 'json', 'console'"
    ):
        configure_logging(format="xml")  # type: ignore[arg-type]


def test_nothing_is_changed_by_what_is_refused() -> None:
    before = logging.getLogger().handlers[:]

    with pytest.raises(ConfigurationError):
        configure_logging("VERBOSE")

    assert logging.getLogger().handlers == before


def test_lines_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()

    logging.getLogger("app").info("hello")

    assert json.loads(capsys.readouterr().out)["message"] == "hello"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_line_is_written_in_any_encoding(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    configure_logging(format="console", stream=stream)

    logging.getLogger("app").info("price: 5 € é")

    stream.flush()
    shown = "price: 5 € é".encode(encoding, "backslashreplace")
    assert raw.getvalue().rstrip().endswith(shown)


def test_a_stream_that_fails_is_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    stream.close()

    logging.getLogger("app").info("hello")

    assert "I/O operation on closed file" in capsys.readouterr().err


def test_a_line_is_written_to_a_stream_without_encoding(log_output: LogOutput) -> None:
    configure_logging(format="console", stream=log_output.stream)

    logging.getLogger("app").info("5 €")

    assert log_output.stream.getvalue().rstrip().endswith("app: 5 €")


def uvicorn_configures_itself() -> None:
    import logging.config

    from uvicorn.config import LOGGING_CONFIG

    logging.config.dictConfig(LOGGING_CONFIG)


def test_uvicorns_records_go_the_way_of_all_others(log_output: LogOutput) -> None:
    uvicorn_configures_itself()
    adopt_uvicorn()

    logging.getLogger("uvicorn.error").info("Started", extra={"color_message": "\x1b[1mStarted"})
    logging.getLogger("uvicorn.access").info(
        '%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", "/a?token=x&b=1", "1.1", 200
    )
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" [accepted]', "::1", "/b?key=x")
    logging.getLogger("uvicorn.access").info("of another shape")

    messages = [line["message"] for line in log_output.lines]
    assert messages == [
        "Started",
        '127.0.0.1:1 - "GET /a?token=[redacted]&b=1 HTTP/1.1" 200',
        '::1 - "WebSocket /b?key=[redacted]" [accepted]',
        "of another shape",
    ]
    assert "color_message" not in log_output.lines[0]


@pytest.mark.parametrize("configured", ["before", "after"])
def test_uvicorns_access_records_are_silent_where_ours_are(
    log_output: LogOutput, configured: str
) -> None:
    uvicorn_configures_itself()
    if configured == "before":
        configure_logging(stream=log_output.stream)
    AccessLogMiddleware(FastAPI())
    if configured == "after":
        configure_logging(stream=log_output.stream)

    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "a", "GET", "/", "1.1", 200)
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" 403', "a", "/b")
    logging.getLogger("uvicorn.error").info("Started")

    assert [line["message"] for line in log_output.lines] == ["Started"]
    assert not logging.getLogger("uvicorn.access").hasHandlers()


def test_another_servers_error_report_is_kept(log_output: LogOutput) -> None:
    try:
        raise ValueError("why")  # noqa: TRY301
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")

    assert len(log_output.errors) == 1


async def test_uvicorns_complaint_about_an_answer_instead_of_a_handshake_is_dropped(
    log_output: LogOutput,
) -> None:
    """It logs an error for each WebSocket that an app answers by HTTP, as ASGI allows."""
    complain = logging.getLogger("uvicorn.error").error
    app = FastAPI()
    add_error_handlers(app)
    scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": []}

    async def receive() -> Message:
        raise AssertionError("nothing to receive")  # pragma: no cover

    async def send(message: Message) -> None: ...

    complain("ASGI callable returned without completing handshake.")
    await app({**scope, "extensions": {"websocket.http.response": {}}}, receive, send)
    complain("ASGI callable returned without completing handshake.")
    complain("Another.")

    assert [line["message"] for line in log_output.errors] == [
        "ASGI callable returned without completing handshake.",
        "Another.",
    ]
