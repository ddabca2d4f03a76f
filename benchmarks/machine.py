"""What a figure depends on: versions and the kind of machine, with no name and no path of it."""

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CPU_FACTS = Path("/proc/cpuinfo")
PACKAGES = (
    "fastapi-kit",
    "fastapi",
    "starlette",
    "pydantic",
    "sqlalchemy",
    "aiosqlite",
    "psycopg",
    "python-jose",
    "uvicorn",
    "httptools",
    "uvloop",
    "h11",
    "orjson",
    "asgi-correlation-id",
    "secure",
    "structlog",
    "fastapi-pagination",
    "fastapi-users",
    "authx",
    "pyjwt",
    "joserfc",
    "pwdlib",
)


def facts() -> dict[str, str]:
    """Date, machine, Python and package versions, in the order in which they are shown."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}",
        platform.python_implementation(): platform.python_version(),
        **{name: version_of(name) for name in PACKAGES},
    }


def processor() -> str:
    """The processor's model where the system tells it, else its architecture."""
    try:
        text = CPU_FACTS.read_text()
    except OSError:
        return platform.machine()
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return model[1] if model is not None else platform.machine()


def version_of(package: str) -> str:
    """The installed version, or that there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
