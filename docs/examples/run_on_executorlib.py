"""A run by executorlib on one computer: python run_on_executorlib.py FILE OUTPUT."""

from __future__ import annotations

import queue
import secrets
import sys
import threading
from multiprocessing.connection import Client, Listener

from executorlib import SingleNodeExecutor

from pyama_core import Channels, ProcessingContext, load_microscopy_file, run_complete_workflow
from pyama_core.processing.workflow.pipeline import ForeignExecutor


class Line:
    """What workers send progress with: a socket, opened by the first message of each process."""

    _open: dict[tuple[str, int], Client] = {}  # noqa: RUF012 - one for all of a process

    def __init__(self, address: tuple[str, int], key: bytes) -> None:
        self.address, self.key = address, key

    def send(self, message: object) -> None:
        """Send a message; this is called in the process of a worker."""
        if self.address not in self._open:
            self._open[self.address] = Client(self.address, authkey=self.key)
        self._open[self.address].send(message)

    def cancelled(self) -> bool:
        """Tell whether to stop; this example cannot be cancelled in the middle of a FOV."""
        return False


def listen(listener: Listener, events: queue.Queue[object]) -> None:
    """Take every worker's messages."""
    while True:
        connection = listener.accept()
        threading.Thread(target=receive, args=(connection, events), daemon=True).start()


def receive(connection, events: queue.Queue[object]) -> None:
    """Pass messages on until the worker ends."""
    try:
        while True:
            events.put(connection.recv())
    except (EOFError, OSError):
        connection.close()


def main(file: str, output: str) -> bool:
    """Run with two worker processes of executorlib."""
    source, metadata = load_microscopy_file(file)
    source.close()
    context = ProcessingContext(output_dir=output, channels=Channels(pc=0, fl=[1]))
    key, events = secrets.token_bytes(), queue.Queue()
    listener = Listener(("127.0.0.1", 0), authkey=key)
    threading.Thread(target=listen, args=(listener, events), daemon=True).start()
    with SingleNodeExecutor(max_workers=2) as executor:
        foreign = ForeignExecutor(executor, Line(listener.address, key), events)
        return run_complete_workflow(metadata, context, executor=foreign, on_progress=print)


if __name__ == "__main__":
    sys.exit(not main(*sys.argv[1:]))
