"""What the measured processes write, and what they see installed."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO


def send_output_to(file: IO[bytes]) -> None:
    """Let standard output, where log lines go, end in this file."""
    sys.stdout.flush()
    os.dup2(file.fileno(), 1)


def discard_output() -> None:
    """Let standard output end in the null device, a real file that never fills: so do all."""
    with Path(os.devnull).open("wb") as nowhere:
        send_output_to(nowhere)


def count_lines(file: IO[bytes]) -> int:
    """How many lines the file holds."""
    # Not by seek and read: a process that writes to the file shares its position.
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).count(b"\n")


def hide(modules: Iterable[str]) -> None:
    """Make modules look as if they were not installed; to be called before anything asks."""
    for name in modules:
        sys.modules[name] = None  # type: ignore[assignment]  # the import system's own convention
