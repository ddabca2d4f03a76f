"""Secrets stay out of log lines: by name where there is one, else by their shape."""

import json
import logging
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastapi_kit.logs.redaction import is_secret, loggable, redact_query, redact_text
from tests.logs.capture import LogOutput

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_123"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "PASSWORD",
        "new_password",
        "new_password2",
        "password_confirmation",
        "password_hash",
        "passwords[0]",
        "userPassword",
        "passwd",
        "pwd",
        "token",
        "access_token",
        "accessToken",
        "X-Auth-Token",
        "csrf-token",
        "api_key",
        "apiKey",
        "x-api-key",
        "secret",
        "client_secret",
        "SECRET_KEY",
        "private_key",
        "authorization",
        "Proxy-Authorization",
        "cookie",
        "Set-Cookie",
        "session",
        "session_id",
        "code",
        "key",
        "sig",
        "X-Amz-Signature",
        "X-Amz-Credential",
        "password[]",
        "user.password",
    ],
)
def test_a_name_that_sounds_secret_is(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "page",
        "author",
        "monkey",
        "primary_key",
        "completion_tokens",
        "passenger",
        "status_code",
    ],
)
def test_another_name_is_not(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ""),
        ("page=1&q=a+b%20c", "page=1&q=a+b%20c"),
        ("token=abc", "token=[redacted]"),
        ("a=1&token=abc&b=2", "a=1&token=[redacted]&b=2"),
        ("token=1&token=2", "token=[redacted]&token=[redacted]"),
        ("t%6Fken=abc&to%6ben=x", "t%6Fken=[redacted]&to%6ben=[redacted]"),
        ("TOKEN=abc", "TOKEN=[redacted]"),
        ("voucher=7&VOUCHER=8", "voucher=[redacted]&VOUCHER=[redacted]"),
        ("token", "token"),
        ("token=", "token=[redacted]"),
        ("token=a=b", "token=[redacted]"),
        ("&&=&%zz=%", "&&=&%zz=%"),
        (f"q={JWT}", "q=[redacted]"),
        (f"{JWT}", "[redacted]"),
        ("next=https%3A%2F%2Fa%2F%3Ftoken%3Dx&b=1", "next=[redacted]&b=1"),
        ("q=Bearer+abcdefghijklmnop", "q=[redacted]"),
        ("q=token%20ring", "q=token%20ring"),
    ],
)
def test_secret_parameters_of_a_query_are_redacted(query: str, expected: str) -> None:
    assert redact_query(query, {"voucher"}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nothing here", "nothing here"),
        ("a: b = c", "a: b = c"),
        (f"got {JWT}!", "got [redacted]!"),
        ("Bearer abcdefghijklmnop.-_~+/=", "Bearer [redacted]"),
        ("bearer of bad news", "bearer of bad news"),
        ("Basic dXNlcjpwYXNz", "Basic [redacted]"),
        ("basic idea", "basic idea"),
        (
            'HTTP Request: GET https://a.test/x?q=1&api_key=abc#f "HTTP/1.1 200 OK"',
            'HTTP Request: GET https://a.test/x?q=1&api_key=[redacted] "HTTP/1.1 200 OK"',
        ),
        ("/a?next=%2Fb%3Ftoken%3Dx&y=1", "/a?next=[redacted]&y=1"),
        ("/a?next=/b?token=x&y=1", "/a?next=/b?token=[redacted]&y=1"),
        ("/a?x=1&y=2", "/a?x=1&y=2"),
        ("postgresql://me:pa%40ss@db/x", "postgresql://me:[redacted]@db/x"),
        ("redis://:pass@db/0", "redis://:[redacted]@db/0"),
        ("http://a.test:80/b@c", "http://a.test:80/b@c"),
        ("{'password': 'it\\'s', 'a': 'b'}", "{'password': '[redacted]', 'a': 'b'}"),
        ('{"client_secret":"x","a":1}', '{"client_secret":"[redacted]","a":1}'),
        ('{\\"token\\": \\"x y\\", \\"a\\": 1}', '{\\"token\\": \\"[redacted]\\", \\"a\\": 1}'),
        ("User(name='a', hashed_password='x')", "User(name='a', hashed_password='[redacted]')"),
        ("User(password_hash='x')", "User(password_hash='[redacted]')"),
        ("secret_key=b'x'", "secret_key=b'[redacted]'"),
        ("{'authorization': 'x', 'cookie': 'y'}", "{'authorization': '[redacted]', 'cookie': '[redacted]'}"),
        ("password='cut off", "password='[redacted]'"),
        ("Authorization: Digest x, y\nAccept: z", "Authorization: [redacted]\nAccept: z"),
        ("Cookie: a=b; c=d", "Cookie: [redacted]"),
        ("Unexpected token: x", "Unexpected token: x"),
        ("[type=x, input_value='hunter2', input_type=str]", "[type=x, input_value=[redacted], input_type=str]"),
        ("VALUES ('ada', '$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA')", "VALUES ('ada', '[redacted]')"),
        ("('$2b$12$abcdefghijklmnopqrstuv', '$pbkdf2-sha256$29000$c2FsdA$aGFzaA')", "('[redacted]', '[redacted]')"),
        ("it costs $2 or $20", "it costs $2 or $20"),
        ("{'msg': 'm', 'input': {'a': 'hunter2'}}\nnext", "{'msg': 'm', 'input': [redacted]\nnext"),
    ],
)  # fmt: skip
def test_secrets_within_a_text_are_redacted(text: str, expected: str) -> None:
    assert redact_text(text) == expected


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_a_text_without_marks_is_left_alone(text: str) -> None:
    text = text.translate({ord(mark): None for mark in ":=$"}).replace("eyJ", "")

    assert redact_text(text) == text


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(categories=["L", "N"]), min_size=4))
def test_a_password_is_redacted_however_it_is_written(secret: str) -> None:
    secret = f"S3cr3t{secret}"
    given: dict[str, Any] = {"password": secret}

    for shown in (loggable(given), redact_text(repr(given)), redact_text(json.dumps(given))):
        assert "S3cr3t" not in str(shown)


@pytest.mark.parametrize(
    "piece",
    ["eyJ", "eyJaaaaaaaa.", "?a", "?a=", "&", ";a=", "token='", "token=\"token='", "token='\\'",
     "input_value=", "bearer ", "$2b$", "$argon2id$", "://", "://a:", "cookie:", "a-", "password ", "?%3Fa=", "'input': "],
)  # fmt: skip
def test_no_text_takes_long(piece: str) -> None:
    """A pattern that reads a text again and again would take hours for these."""
    text = piece * (60_000 // len(piece))
    start = time.process_time()

    redact_text(text)
    redact_query(text)

    assert time.process_time() - start < 5


def test_secrets_in_messages_fields_and_tracebacks_are_redacted(log_output: LogOutput) -> None:
    try:
        raise ValueError("connecting to postgresql://me:hunter2@db failed")  # noqa: TRY301
    except ValueError:
        logging.getLogger("app").exception(
            "GET %s", "https://a.test/?token=hunter2", extra={"url": "http://a/?sig=hunter2"}
        )

    assert "hunter2" not in log_output.stream.getvalue().replace('me:hunter2@db failed\\")', "")
    [line] = log_output.lines
    assert line["message"] == "GET https://a.test/?token=[redacted]"
    assert line["url"] == "http://a/?sig=[redacted]"
    assert "postgresql://me:[redacted]@db" in line["exception.stacktrace"]
