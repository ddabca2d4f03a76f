"""A PostgreSQL server of the tests' own, which they may stop and start as they like."""

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

from sqlalchemy import URL


def find_binaries() -> Path | None:
    """Where ``pg_ctl`` and ``initdb`` are, on the path or in Debian's place."""
    found = shutil.which("pg_ctl")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Cluster:
    """Made in an empty directory, stopped at first."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._binaries = binaries
        self._directory = directory
        self._port = free_port()
        # PostgreSQL refuses to run as root.
        self._as_user: list[str] = []
        if os.geteuid() == 0:  # pragma: no branch  # depends on the machine
            owner = pwd.getpwnam("postgres")
            os.chown(directory, owner.pw_uid, owner.pw_gid)
            self._as_user = ["runuser", "-u", "postgres", "--"]
        self._run("initdb", "--auth=trust", "--username=postgres", "--no-sync")

    def url(self, driver: str) -> URL:
        return URL.create(
            f"postgresql+{driver}",
            "postgres",
            host="127.0.0.1",
            port=self._port,
            database="postgres",
        )

    def start(self) -> None:
        settings = {
            "port": self._port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self._directory,
            "fsync": "off",
            "max_connections": 40,
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        log = self._directory / "log"
        self._run("pg_ctl", "start", "--wait", f"--log={log}", f"--options={options}")

    def stop(self) -> None:
        """End all sessions at once, wherever they are in their transactions."""
        self._run("pg_ctl", "stop", "--wait", "--mode=fast")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._binaries / program), "-D", str(self._directory)]
        subprocess.run(
            [*command, *arguments],
            check=True,
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
            timeout=60,
        )
