"""How mails leave the shop."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Protocol


class Mailer(Protocol):
    async def send(self, to: str, subject: str, text: str) -> None:
        """Hand over a mail; the address is of someone with an account."""
        ...


@dataclass(frozen=True)
class MailFolder:
    """For development: each mail becomes a file, which nobody but who serves the shop can read.

    Mails hold tokens. So they are in no log, which is kept and sent elsewhere, and on no route,
    which whoever reaches the server could ask.
    """

    folder: Path

    async def send(self, to: str, subject: str, text: str) -> None:
        await asyncio.to_thread(self._write, f"To: {to}\nSubject: {subject}\n\n{text}")

    def _write(self, mail: str) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Temporary files are made with a mode of 0600 and a name that none had before.
        with NamedTemporaryFile(
            "w",
            encoding="utf-8",
            dir=self.folder,
            prefix=f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}-",
            suffix=".txt",
            delete=False,
        ) as file:
            file.write(mail)
