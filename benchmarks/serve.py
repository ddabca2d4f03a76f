"""Serves one app by uvicorn on a socket that it inherits: started by `benchmarks.server`."""

import json
import logging
import os
import signal
import socket
import sys
from importlib import import_module

import uvicorn

from benchmarks.output import discard_output, hide


def stop_keeping_output(_number: int, _frame: object) -> None:
    """The lines of a few requests have been counted."""
    discard_output()


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    if order["core"] is not None:
        os.sched_setaffinity(0, {order["core"]})
    hide(order["without"])
    for name in order["needs"]:
        import_module(name)
    signal.signal(signal.SIGUSR1, stop_keeping_output)
    config = uvicorn.Config(order["app"], factory=True, access_log=order["uvicorn_log"])
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    uvicorn.Server(config).run([socket.socket(fileno=order["socket"])])
