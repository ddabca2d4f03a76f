"""Sets up, runs and checks the project: ``python dev.py --help``. Standard library only.

The file must parse on Python 3.6, so that a Python that is too old gets one clear line.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  # an older Python may well be asked to run this file
    sys.exit(f"dev.py needs Python 3.11 or newer; this is {sys.version.split()[0]}.")

import argparse
import errno
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN, PYTHON_NAME = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
PYTHON = VENV / BIN / PYTHON_NAME
STAMP = VENV / "kit-setup.stamp"
LOG = VENV / "kit-setup.log"

CTRL_C = 130  # the shell's exit status for a program that SIGINT ended
SECONDS_TO_END = 5

SHOP = """
The shop is at  {address}     (its API is at {address}/docs)
Log in as       admin@example.com, editor@example.com or viewer@example.com
Password        correct horse battery staple
Stop it with    Ctrl-C
"""


class StopError(Exception):
    """Ends dev.py; the message is the one line that says what is wrong."""


# -- set-up ------------------------------------------------------------------------------------


def set_up(*groups: str) -> None:
    """Install the project and these dependency groups into .venv, unless they are there."""
    done = finished_groups()
    wanted = sorted(done | set(groups))
    if done.issuperset(wanted):
        return
    print(f"Setting up .venv for: {', '.join(wanted)} ...", flush=True)
    STAMP.unlink(missing_ok=True)
    LOG.unlink(missing_ok=True)
    if not done:
        make_venv(VENV)
    install("--editable", ".", *(f"--group={group}" for group in wanted))
    # Renaming is atomic: a set-up that was cut short leaves no stamp, so it is done again.
    fresh = STAMP.with_suffix(".new")
    fresh.write_text(" ".join([stamp_key(), *wanted]))
    fresh.replace(STAMP)


def finished_groups() -> set[str]:
    """What a whole set-up left in .venv; nothing once pyproject.toml or the Python changed."""
    try:
        key, *groups = STAMP.read_text().split()
    except (OSError, ValueError):
        return set()
    return set(groups) if key == stamp_key() and PYTHON.exists() else set()


def stamp_key() -> str:
    return hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + sys.version.encode()).hexdigest()


def make_venv(venv: Path) -> None:
    missing = [name for name in ("venv", "ensurepip") if find_spec(name) is None]
    if missing:
        raise StopError(
            f"This Python has no module {' and no module '.join(missing)}, so it cannot make a "
            "virtual environment; on Debian and Ubuntu install the package python3-venv."
        )
    # What stands there may be half made, or another Python's.
    clear = [] if is_this_python(venv / BIN / PYTHON_NAME) else ["--clear"]
    venv.mkdir(exist_ok=True)
    if not quietly(sys.executable, "-m", "venv", *clear, venv):
        raise StopError(f"Cannot make the virtual environment {venv}. Details: {LOG}")


def is_this_python(python: Path) -> bool:
    ask = [str(python), "-c", "import sys; print(sys.version)"]
    try:
        version = subprocess.check_output(ask, text=True, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return False
    return version.strip() == sys.version


def install(*what: str) -> None:
    """Install with uv, which takes seconds; with pip where uv cannot be had or cannot do it."""
    pip = (PYTHON, "-m", "pip", "install")
    # Compiled as pip does it, or every process would do so where Python writes no bytecode.
    uv = (PYTHON, "-m", "uv", "pip", "install", "--compile-bytecode", f"--python={PYTHON}")
    if quietly(*pip, "uv") and quietly(*uv, *what):
        return
    print("Not possible with uv; trying pip, which takes longer ...", flush=True)
    if quietly(*pip, "--upgrade", "pip>=25.1") and quietly(*pip, *what):  # 25.1 knows --group
        return
    raise StopError(f"The packages could not be installed; is there a network? Details: {LOG}")


def quietly(*command: str | Path) -> bool:
    """Run a command without a word; what it said is kept in a log when it fails."""
    ran = subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if ran.returncode != 0:
        with LOG.open("ab") as log:
            log.write(b"+ " + shown(command).encode() + b"\n" + ran.stdout + b"\n")
    return ran.returncode == 0


# -- running -----------------------------------------------------------------------------------


def module(*args: str | Path) -> int:
    """Run a module with the Python of .venv."""
    return call(PYTHON, "-m", *args)


def call(*command: str | Path, cwd: Path = ROOT) -> int:
    """Run a command to its end; it does not outlive dev.py."""
    print("+", shown(command), flush=True)
    path = os.pathsep.join([str(VENV / BIN), os.environ.get("PATH", os.defpath)])
    env = {**os.environ, "VIRTUAL_ENV": str(VENV), "PATH": path}
    env.pop("PYTHONHOME", None)
    with subprocess.Popen(command, cwd=cwd, env=env) as child:
        try:
            status = child.wait()
        except KeyboardInterrupt:  # it reached the child too
            end(child)
            raise
        except SystemExit:  # by SIGTERM, which did not
            child.terminate()
            end(child)
            raise
    return 128 - status if status < 0 else status


def shown(command: tuple[str | Path, ...]) -> str:
    return " ".join("python" if word == PYTHON else str(word) for word in command)


def end(child: subprocess.Popen[bytes]) -> None:
    for push in (child.terminate, child.kill):
        try:
            child.wait(SECONDS_TO_END)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            push()


def first_failure(*statuses: int) -> int:
    return next((status for status in statuses if status != 0), 0)


# -- commands ----------------------------------------------------------------------------------


def run(host: str, port: int) -> int:
    """serve the main example, a shop"""
    check_address(host, port)
    set_up("examples")
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    print(SHOP.format(address=address), flush=True)
    return module("uvicorn", "examples.shop.main:app", f"--host={host}", f"--port={port}")


def check_address(host: str, port: int) -> None:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server((str(address[0]), port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StopError(f"Port {port} on {host} is busy; choose another by --port.") from None
        raise StopError(f"Cannot listen on {host}, port {port}: {error.strerror}") from None


def test(*pytest_args: str) -> int:
    """run the tests; with CI=true their coverage must be complete; more arguments go to pytest"""
    set_up("test")
    everywhere = ("pytest", "--numprocesses=auto", "--dist=worksteal", *pytest_args)
    if os.environ.get("CI") != "true":
        return module(*everywhere)
    # What the processes saw is put together by pytest-cov; what is enough is said once, here.
    status = module(*everywhere, "--cov", "--cov-report=")
    return status or module("coverage", "report", "--fail-under=100")


def lint() -> int:
    """check style, format, import contracts and declared dependencies"""
    set_up("lint")
    return first_failure(
        module("ruff", "check", "."),
        module("ruff", "format", "--check", "."),
        call(VENV / BIN / "lint-imports"),
        module("deptry", "src"),
    )


def types() -> int:
    """check types with mypy and basedpyright, and that the public types are complete"""
    set_up("types", "test", "bench")
    return first_failure(
        module("mypy"),
        module("basedpyright"),
        module("basedpyright", "--verifytypes", "fastapi_kit", "--ignoreexternal"),
    )


def docs() -> int:
    """build the documentation into site/, strictly"""
    set_up("docs")
    os.environ["NO_MKDOCS_2_WARNING"] = "1"
    return module("mkdocs", "build", "--strict")


def wheel() -> int:
    """build the wheel and try it where nothing else is"""
    set_up("wheel")
    with tempfile.TemporaryDirectory(prefix="fastapi-kit-wheel-") as name:
        there = Path(name)
        make_venv(there / "venv")
        python = there / "venv" / BIN / PYTHON_NAME
        shutil.copy(ROOT / "examples" / "quickstart.py", there)
        # By way of the source distribution, so that this is known to be whole as well.
        status = module("build", "--outdir", there, ROOT)
        built = list(there.glob("*.whl"))
        return (
            status
            or call(python, "-m", "pip", "install", "--quiet", *built, "uvicorn", cwd=there)
            or call(python, "-I", ROOT / ".ci" / "wheel_check.py", cwd=there)
        )


def bench(*args: str) -> int:
    """measure what the kit costs; with --smoke quickly; more arguments go to the benchmarks"""
    set_up("bench")
    return module("benchmarks", *args)


def everything() -> int:
    """do all of the above but run; the benchmarks with --smoke"""
    return first_failure(test(), lint(), types(), docs(), wheel(), bench("--smoke"))


def lowest(*pytest_args: str) -> int:
    """run the tests on the lowest versions that pyproject.toml allows, in .venv-lowest"""
    python = python_of_venv_beside("lowest")
    what = ("--resolution=lowest-direct", "--editable", ".", "--group=test")
    return uv_pip(python, "install", *what) or call(python, "-m", "pytest", *pytest_args)


def libpass(*pytest_args: str) -> int:
    """run the tests of auth with libpass, passlib's fork, in its place, in .venv-libpass"""
    python = python_of_venv_beside("libpass")
    return (
        uv_pip(python, "install", "--editable", ".", "--group=test")
        # In this order: they overwrite each other's files.
        or uv_pip(python, "uninstall", "passlib")
        or uv_pip(python, "install", "--reinstall", "libpass")
        or call(python, "-m", "pytest", "--numprocesses=auto", "tests/auth", *pytest_args)
    )


def python_of_venv_beside(name: str) -> Path:
    set_up("test")
    venv = ROOT / f".venv-{name}"
    make_venv(venv)
    return venv / BIN / PYTHON_NAME


def uv_pip(python: Path, command: str, *what: str) -> int:
    compiled = ["--compile-bytecode"] if command == "install" else []
    return module("uv", "pip", command, f"--python={python}", *compiled, *what)


COMMANDS: dict[str, Callable[..., int]] = {
    "run": run,
    "test": test,
    "lint": lint,
    "types": types,
    "docs": docs,
    "wheel": wheel,
    "bench": bench,
    "all": everything,
    "lowest": lowest,
    "libpass": libpass,
}
TAKE_MORE = ("test", "bench", "lowest", "libpass")


def port_number(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port; give a number from 1 to 65535")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="dev.py", description="Set up, run, check the project.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, command in COMMANDS.items():
        options = commands.add_parser(name, help=command.__doc__)
        if command is run:
            options.add_argument("--host", default="127.0.0.1")
            options.add_argument("--port", default=8000, type=port_number)
    chosen, more = parser.parse_known_args(arguments)
    if chosen.command == "run" and not more:
        return run(chosen.host, chosen.port)
    if more and chosen.command not in TAKE_MORE:
        parser.error(f"{chosen.command} does not take {' '.join(more)}")
    return COMMANDS[chosen.command](*more)


if __name__ == "__main__":
    # A supervisor that ends dev.py ends what dev.py started as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        sys.exit(main(sys.argv[1:]))
    except (StopError, OSError) as stop:
        sys.exit(f"dev.py: {stop}")
    except KeyboardInterrupt:
        sys.exit(CTRL_C)
