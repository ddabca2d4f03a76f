"""Tries an installed wheel: every core block imports without extras, and the quickstart serves.

Runs as ``python -I`` in a clean environment, in a folder that holds only a copy of quickstart.py.
"""

import json
import socket
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

CORE = (
    "app",
    "auth",
    "db",
    "errors",
    "health",
    "lifespan",
    "logs",
    "middleware",
    "pagination",
    "settings",
)
SECONDS_TO_START = 30


def check_imports() -> None:
    package = import_module("fastapi_kit")
    where = Path(package.__file__ or "").parent
    if not where.is_relative_to(sys.prefix):
        sys.exit(f"fastapi_kit comes from {where}, not from the wheel")
    if not (where / "py.typed").is_file():
        sys.exit("the wheel has no py.typed, so type checkers ignore its types")
    for name in package.__all__:
        getattr(package, name)
    for block in CORE:
        import_module(f"fastapi_kit.{block}")
    print(
        f"imported {len(CORE)} blocks and {len(package.__all__)} root names without extras",
        flush=True,
    )


def check_quickstart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "quickstart:app", "--port", str(port)]
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/openapi.json", server)
        try_out(address)
    finally:
        server.terminate()
        server.wait(timeout=10)


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while server.poll() is None and time.monotonic() < deadline:
        try:
            call(url)
        except URLError:
            time.sleep(0.1)
        else:
            return
    sys.exit("the quickstart did not start")


def try_out(address: str) -> None:
    """What a reader of the README tries: a page, a refusal, a log-in, an error of the app's own."""
    page = call(f"{address}/items?page=2&size=5")
    expect(200, page, holds="total")
    expect(401, call(f"{address}/items/3", "DELETE"), holds="status")
    form = {
        "grant_type": "password",
        "username": "ada",
        "password": "correct horse battery staple",
    }
    status, body = call(f"{address}/auth/token", "POST", data=urlencode(form).encode())
    expect(200, (status, body), holds="access_token")
    log_in = {"Authorization": f"Bearer {body['access_token']}"}
    expect(404, call(f"{address}/items/3", "DELETE", headers=log_in), holds="detail")
    print("the quickstart gave a page, a refusal, a token and a problem", flush=True)


def call(
    url: str,
    method: str = "GET",
    *,
    data: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    request = Request(url, data=data, headers=headers or {}, method=method)
    try:
        with urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


def expect(status: int, answer: tuple[int, dict[str, Any]], *, holds: str) -> None:
    if answer[0] != status or holds not in answer[1]:
        sys.exit(f"expected {status} and the member {holds!r}; the quickstart answered {answer}")


if __name__ == "__main__":
    check_imports()
    check_quickstart()
