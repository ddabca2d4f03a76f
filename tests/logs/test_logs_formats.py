"""Whatever a record holds, it becomes one valid line, the same by both encoders."""

import collections
import dataclasses
import datetime as dt
import enum
import io
import json
import logging
import logging.handlers
import queue
import sys
import types
import unicodedata
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from fastapi_kit.errors import ConfigurationError
from fastapi_kit.logs import ConsoleFormatter, JsonFormatter
from fastapi_kit.logs.context import RequestContext, current

ENCODERS: Any = ["orjson", "json"]


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class RudeKey(Rude):
    def __hash__(self) -> int:
        return 1


class RudeMapping(collections.UserDict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("no items")


class RudeList(list[int]):
    def __iter__(self) -> Any:
        raise RuntimeError("no items")


class RudeText(str):
    __slots__ = ()

    encode = __str__ = Rude.__repr__  # type: ignore[assignment]


class RudeNumber(int):
    __int__ = Rude.__repr__  # type: ignore[assignment]


class RudeError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Proxy:
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError("unbound")


class NoText:
    def __str__(self) -> Any:
        return 1  # noqa: PLE0307


class Colour(enum.StrEnum):
    RED = "red"


class User(BaseModel):
    name: str
    password: str
    key: SecretStr


@dataclasses.dataclass
class Account:
    api_key: str


def recursive() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


def nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = {"in": [value]}
    return value


def record_of(message: Any = "message", *args: Any, **attributes: Any) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "app", "levelname": "INFO", "msg": message, "args": args, **attributes}
    )


def object_of(record: logging.LogRecord, encoder: Any) -> dict[str, Any]:
    line = JsonFormatter(encoder=encoder).format(record)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    found: dict[str, Any] = json.loads(line, parse_constant=refuse)
    line.encode().decode()
    return found


def refuse(constant: str) -> None:
    raise AssertionError(constant)  # pragma: no cover


VALUES: dict[str, tuple[Any, Any]] = {
    "none": (None, None),
    "true": (True, True),
    "text": ("é\u2028", "é\u2028"),
    "enum": (Colour.RED, "red"),
    "surrogate": ("a\ud800b", "a?b"),
    "rude text": (RudeText("x"), "x"),
    "int": (7, 7),
    "63 bits": (2**63 - 1, 2**63 - 1),
    "64 bits": (2**64, str(2**64)),
    "negative": (-(2**63) - 1, str(-(2**63) - 1)),
    "20000 bits": (2**20_000, hex(2**20_000)),
    "rude number": (RudeNumber(3), 3),
    "float": (0.5, 0.5),
    "nan": (float("nan"), "nan"),
    "inf": (float("-inf"), "-inf"),
    "bytes": (b"\xff", "b'\\xff'"),
    "date": (dt.date(2026, 1, 2), "2026-01-02"),
    "time": (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "2026-01-02T00:00:00+00:00"),
    "uuid": (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "set": ({1}, [1]),
    "tuple": ((1, "a", None), [1, "a", None]),
    "keys": ({1: "a", None: "b", b"c": "d", (1,): "e"}, {"1": "a", "None": "b", "c": "d", "(1,)": "e"}),
    "surrogate key": ({"\ud800": 1}, {"?": 1}),
    "rude key": ({RudeKey(): 1}, {"<unprintable RudeKey>": 1}),
    "rude repr": (Rude(), "<unprintable Rude>"),
    "no text": (NoText(), "<NoText>"),
    "rude items": ([1, Rude(), 2], [1, "<unprintable Rude>", 2]),
    "rude mapping": (RudeMapping(), "<unprintable RudeMapping>"),
    "rude list": (RudeList(), "<unprintable RudeList>"),
    "proxy": (Proxy(), "<unprintable Proxy>"),
    "mapping": (types.MappingProxyType({"a": 1}), {"a": 1}),
    "model": (User(name="a", password="hunter2", key=SecretStr("k")), "name='a' password='[redacted]' key=SecretStr('**********')"),
    "dataclass": (Account(api_key="hunter2"), "Account(api_key='[redacted]')"),
}  # fmt: skip


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(("value", "expected"), VALUES.values(), ids=VALUES)
def test_any_value_finds_its_json(value: Any, expected: Any, encoder: Any) -> None:
    found = object_of(record_of(value=value), encoder)["value"]

    if isinstance(expected, str) and expected == "<NoText>":
        assert found.startswith("<")
    else:
        assert found == expected
        assert type(found) is type(expected)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    "value", [recursive(), nested(30), nested(2000)], ids=["self", "30", "2000"]
)
def test_what_lies_too_deep_is_left_out(value: Any, encoder: Any) -> None:
    found = json.dumps(object_of(record_of(value=value), encoder)["value"])

    assert "nested too deeply" in found
    assert len(found) < 200


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    ("message", "args", "expected"),
    [
        ("a %s", ("b",), "a b"),
        ("a %s %s", ("b",), "'a %s %s' % ('b',)"),
        ("a %d", ("b",), "'a %d' % ('b',)"),
        ("100%", ("b",), "'100%' % ('b',)"),
        ("100%", (), "100%"),
        ("%s", (Rude(),), "'%s' % <unprintable tuple>"),
        ("%(a)s", ({"a": 1},), "'%(a)s' % ({'a': 1},)"),
        (Rude(), (), "<unprintable Rude> % ()"),
        (7, (), "7"),
        ("a\r\nb\u2028c\x1b[0m", (), "a\r\nb\u2028c\x1b[0m"),
        ("\ud800", (), "?"),
        ("%s", ("\udfff",), "?"),
    ],
)
def test_any_message_is_told(message: Any, args: Any, expected: str, encoder: Any) -> None:
    assert object_of(record_of(message, *args), encoder)["message"] == expected


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_record_whose_message_is_no_text_is_told(encoder: Any) -> None:
    class Odd(logging.LogRecord):
        def getMessage(self) -> Any:  # noqa: N802
            return 7

    record = Odd("app", logging.INFO, "", 0, "", (), None)

    assert object_of(record, encoder)["message"] == "7"


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"levelname": 7, "name": Rude()}, {"level": 7, "logger": "<unprintable Rude>"}),
        ({"message_": "x"}, {"message_": "x"}),
        ({"timestamp": "t", "level": "l"}, {"extra.timestamp": "t", "extra.level": "l"}),
        ({"logger": "x", "request_id": "y"}, {"extra.logger": "x", "extra.request_id": "y"}),
        ({"exc_info": True}, {"message": "message"}),
        ({"exc_info": ()}, {"message": "message"}),
        ({"exc_info": (None, None, None)}, {"message": "message"}),
        ({"exc_info": ValueError("x")}, {"exception.type": "ValueError"}),
        ({"exc_text": "kept", "exc_info": None}, {"exception.stacktrace": "kept"}),
        ({"stack_info": "Stack:\n  here"}, {"exception.stacktrace": "Stack:\n  here"}),
        ({"http_access": {"a": 1, "token": "x"}}, {"http_access": {"a": 1, "token": "[redacted]"}}),
    ],
)
def test_odd_attributes_find_their_place(
    attributes: dict[str, Any], expected: dict[str, Any], encoder: Any
) -> None:
    found = object_of(record_of(**attributes), encoder)

    assert expected.items() <= found.items()


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    ("created", "expected"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_800_000_000.25, "2027-01-15T08:00:00.250Z"),
        (-0.5, "1969-12-31T23:59:59.500Z"),
    ],
)
def test_the_timestamp_is_in_utc(created: float, expected: str, encoder: Any) -> None:
    assert object_of(record_of(created=created), encoder)["timestamp"] == expected


@pytest.mark.parametrize("created", [float("nan"), float("inf"), 1e300, "today", None, Rude()])
def test_a_record_without_a_time_gets_the_present_one(created: Any) -> None:
    found = object_of(record_of(created=created), "json")

    assert found["timestamp"].startswith("20")
    assert found["message"] == "message"


def test_times_of_one_second_differ_by_their_milliseconds() -> None:
    formatter = JsonFormatter()

    times = [
        json.loads(formatter.format(record_of(created=created)))["timestamp"][-7:]
        for created in (5.001, 5.002, 6.003, 5.004)
    ]

    assert times == ["05.001Z", "05.002Z", "06.003Z", "05.004Z"]


def raised(error: BaseException) -> Any:
    try:
        raise error  # noqa: TRY301
    except BaseException:  # noqa: BLE001  # it is what is asked for
        return sys.exc_info()


def chained() -> Any:
    first, second = ValueError("first"), KeyError("second")
    second.__cause__, first.__cause__ = first, second
    return raised(second)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    ("exc_info", "type", "text"),
    [
        (raised(ValueError("why\nnot")), "ValueError", "ValueError: why\nnot"),
        (raised(RudeError()), "RudeError", "<exception str() failed>"),
        (raised(ValueError("\ud800")), "ValueError", "ValueError: ?"),
        (chained(), "KeyError", "ValueError: first"),
        (raised(ExceptionGroup("g", [ValueError("a")])), "ExceptionGroup", "ValueError: a"),
        (raised(KeyboardInterrupt()), "KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_an_exception_is_told_whole(exc_info: Any, type: str, text: str, encoder: Any) -> None:
    found = object_of(record_of(exc_info=exc_info), encoder)

    assert found["exception.type"] == type
    assert text in found["exception.stacktrace"]


def test_an_exception_that_traceback_cannot_print_is_named() -> None:
    class Worst(Exception):  # noqa: N818
        @property
        def __cause__(self) -> Any:  # type: ignore[override]
            raise RuntimeError("no cause")

    found = object_of(record_of(exc_info=(Worst, Worst(), None)), "json")

    assert found["exception.stacktrace"] == "<unprintable Worst>"


def test_a_validation_error_in_a_traceback_does_not_show_the_input() -> None:
    given = {"name": 5, "password": "x", "key": ["s3cr3t"]}
    try:
        User.model_validate(given)
    except ValueError:
        found = object_of(record_of(exc_info=sys.exc_info()), "json")

    assert "2 validation errors for User" in found["exception.stacktrace"]
    assert "input_value=[redacted]" in found["exception.stacktrace"]
    assert "s3cr3t" not in json.dumps(found)


def test_a_record_that_nothing_fits_still_leaves_a_line() -> None:
    record = record_of()
    del record.__dict__["levelname"]

    found = object_of(record, "json")

    assert found["message"] == "A log record could not be formatted: AttributeError"
    assert (
        ConsoleFormatter()
        .format(record)
        .endswith(
            "ERROR    fastapi_kit.logs.formats: A log record could not be formatted: AttributeError"
        )
    )


def test_a_custom_record_factorys_attributes_are_fields(logging_restored: None) -> None:
    standard = logging.getLogRecordFactory()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = standard(*args, **kwargs)
        record.pod = "a-1"
        return record

    logging.setLogRecordFactory(factory)
    record = logging.getLogger("app").makeRecord("app", 20, "f", 1, "hello", (), None)

    assert object_of(record, "json")["pod"] == "a-1"


def test_a_record_that_went_through_a_queue_keeps_its_traceback() -> None:
    waiting: queue.Queue[Any] = queue.Queue()
    handler = logging.handlers.QueueHandler(waiting)
    handler.emit(record_of(exc_info=raised(ValueError("why"))))

    found = object_of(waiting.get(), "json")

    assert "ValueError: why" in found["message"] + found.get("exception.stacktrace", "")


def test_the_same_record_by_both_formatters_is_whole() -> None:
    record = record_of(exc_info=raised(ValueError("why")))
    logging.Formatter().format(record)

    console = ConsoleFormatter().format(record)

    assert console.count("ValueError: why") == 1
    assert object_of(record, "json")["exception.stacktrace"].count("ValueError: why") == 1


def test_the_fields_of_the_request_are_on_each_line() -> None:
    context = RequestContext()
    context.request_id = "abc"
    context.fields = {"order": 7, "message": "mine"}
    token = current.set(context)
    try:
        found = object_of(record_of(order=8), "json")
        console = ConsoleFormatter().format(record_of())
    finally:
        current.reset(token)

    assert (found["request_id"], found["order"], found["extra.message"]) == ("abc", 8, "mine")
    assert console.endswith("request_id=abc  order=7  message=mine")


# What a record may carry: JSON-like, nested, and things that no JSON has.
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[]))
    | st.binary()
    | st.builds(Rude)
    | st.builds(RudeMapping)
    | st.builds(NoText)
    | st.builds(RudeList)
    | st.sampled_from([RudeText("x"), 2**70, Colour.RED]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.dictionaries(st.integers() | st.text(st.characters(exclude_categories=[])), inner)
    ),
    max_leaves=12,
)
RECORDS = st.builds(
    record_of,
    ANYTHING,
    *[ANYTHING],
    levelname=st.sampled_from(["INFO", "WARN\n"]) | ANYTHING,
    name=st.text() | ANYTHING,
    created=st.floats() | st.integers(0, 2**40),
    extra=ANYTHING,
    exc_info=st.sampled_from([None, raised(RudeError()), raised(ValueError("\ud800\n"))]),
)


@settings(max_examples=150, deadline=None)
@given(RECORDS)
def test_any_record_is_one_valid_line_and_both_encoders_agree(record: logging.LogRecord) -> None:
    fast, standard = (object_of(record, encoder) for encoder in ENCODERS)

    fast.pop("timestamp")
    standard.pop("timestamp")
    assert fast == standard
    assert "could not be formatted" not in str(fast["message"])


@settings(max_examples=150, deadline=None)
@given(RECORDS)
def test_any_record_is_one_line_on_a_terminal_and_its_traceback_is_indented(
    record: logging.LogRecord,
) -> None:
    line, *rest = ConsoleFormatter().format(record).splitlines()

    assert "could not be formatted" not in line
    assert all(part.startswith("    ") for part in rest)
    assert not [char for char in line if unicodedata.category(char) == "Cc"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\n12:00:00 INFO forged", "a\\r\\n12:00:00 INFO forged"),
        ("\x1b[2J\x07\x7f\x9b", "\\x1b[2J\\x07\\x7f\\x9b"),
        ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("é\t😀\ud800", "é\\t😀?"),
    ],
)
def test_nothing_in_a_message_can_drive_a_terminal(text: str, shown: str) -> None:
    line = ConsoleFormatter().format(record_of(text, created=0, extra=text))

    assert line.endswith(f" INFO     app: {shown}  extra={shown}")
    assert len(line.splitlines()) == 1


def test_an_exceptions_text_cannot_forge_a_line_on_a_terminal() -> None:
    record = record_of(exc_info=raised(ValueError("why\n12:00:00 INFO app: forged\x1b")))

    lines = ConsoleFormatter().format(record).splitlines()

    assert lines[-1] == "    12:00:00 INFO app: forged\\x1b"


@pytest.mark.parametrize("created", [float("nan"), 1e300, "today"])
def test_a_terminal_shows_no_time_where_there_is_none(created: Any) -> None:
    assert ConsoleFormatter().format(record_of(created=created)).startswith("--:--:-- INFO")


def access_record(**fields: Any) -> logging.LogRecord:
    return record_of("GET / 200", name="fastapi_kit.access", http_access=fields)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    ("value", "expected"),
    [("a", "a"), ("é", "é"), ("a\ud800", "a?"), (Rude(), "<unprintable Rude>")],
    ids=["ascii", "text", "surrogate", "rude"],
)
def test_an_access_line_is_as_robust(value: Any, expected: Any, encoder: Any) -> None:
    assert object_of(access_record(value=value), encoder)["value"] == expected


def test_an_access_line_outside_of_a_request_is_whole() -> None:
    assert object_of(access_record(a=1), "json")["message"] == "GET / 200"


REQUEST: dict[str, Any] = {
    "http.request.method": "GET",
    "url.path": "/items/7",
    "http.route": "/items/{number}",
    "client.address": "127.0.0.1",
    "trace_id": "0" * 32,
    "span_id": "0" * 16,
    "duration_ms": 19.528,
}
ANSWERED: dict[str, Any] = {**REQUEST, "http.response.status_code": 200}


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        (ANSWERED, "GET /items/7 200 in 19.5 ms"),
        ({**ANSWERED, "url.query": "a=1&b=2"}, "GET /items/7?a=1&b=2 200 in 19.5 ms"),
        ({**REQUEST, "error.type": "Gone"}, "GET /items/7 - in 19.5 ms  error.type=Gone"),
    ],
)
def test_a_person_reads_a_short_access_line(fields: dict[str, Any], shown: str) -> None:
    line = ConsoleFormatter().format(access_record(**fields))

    assert line.partition(" ")[2] == f"INFO     fastapi_kit.access: {shown}"


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="encoder='simplejson' is not one of 'orjson'"):
        JsonFormatter(encoder="simplejson")  # type: ignore[arg-type]


def test_by_default_the_encoder_is_one_of_the_two() -> None:
    assert json.loads(JsonFormatter().format(record_of("hello")))["message"] == "hello"


def test_members_of_a_mapping_are_redacted_by_name() -> None:
    headers: Mapping[str, Any] = {"Authorization": "Basic x", "cookie": "a=b", "Accept": "*/*"}
    raw = [(b"authorization", b"Basic x"), (b"accept", b"*/*")]

    found = object_of(record_of(headers=headers, raw=raw, deep={"a": [{"apiKey": 1}]}), "json")

    assert found["headers"] == {
        "Authorization": "[redacted]",
        "cookie": "[redacted]",
        "Accept": "*/*",
    }
    assert found["raw"] == [["authorization", "[redacted]"], ["accept", "b'*/*'"]]
    assert found["deep"] == {"a": [{"apiKey": "[redacted]"}]}


def test_secrets_too_deep_to_be_named_are_left_out() -> None:
    value: Any = {"password": "hunter2"}
    for _ in range(12):
        value = [value]

    assert "hunter2" not in json.dumps(object_of(record_of(value=value), "json"))


@pytest.fixture
def logger_to() -> Iterator[Callable[[io.StringIO], logging.Logger]]:
    logger = logging.getLogger("tests.logs.formats")

    def to(stream: io.StringIO) -> logging.Logger:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
        logger.propagate = False
        return logger

    yield to
    logger.handlers.clear()
    logger.propagate = True


def test_it_works_with_any_handler(logger_to: Callable[[io.StringIO], logging.Logger]) -> None:
    stream = io.StringIO()

    logger_to(stream).warning("hello %s", "you", extra={"a": 1}, stack_info=True)

    found = json.loads(stream.getvalue())
    assert (found["message"], found["a"], found["level"]) == ("hello you", 1, "WARNING")
    assert found["exception.stacktrace"].startswith("Stack (most recent call last)")
