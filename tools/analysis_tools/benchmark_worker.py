"""A process of the benchmark: it holds one object, and answers calls of its methods."""

import os
import signal
import traceback
from contextlib import suppress
from multiprocessing import get_context


class WorkerError(RuntimeError):
    """What a process was asked for went wrong there, and what."""


class Worker:
    """An object in a process of its own, so that memory is its own and a call can be ended.

    Args:
        served (type): What to build there.
        *args: Arguments to build it with.
    """

    def __init__(self, served: type, *args):
        context = get_context('spawn')
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, served, args), daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, method: str, *args, limit: float | None = None):
        """Call a method there, and wait for what it returns.

        Args:
            method (str): Its name.
            *args: Its arguments.
            limit (float, optional): After so many seconds the process is
                ended. Defaults to None: never.

        Returns:
            Any: What the method returned.

        Raises:
            TimeoutError: If it took longer than ``limit``.
            WorkerError: If it failed, or the process ended.
        """
        try:
            self.connection.send((method, args))
            if not self.connection.poll(limit):
                self.kill()
                raise TimeoutError(f'not finished within {limit:.3g} s')
            answer = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            raise WorkerError(f'its process ended with {self.process.exitcode}') from None
        if isinstance(answer, WorkerError):
            raise answer
        return answer

    def stop(self) -> None:
        """Let the process end."""
        self.connection.close()
        self.process.join()

    def kill(self) -> None:
        """End the process at once, and what it started."""
        # It is not the head of its group yet where it has only just started.
        self.process.kill()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join()


def serve(connection, served: type, args: tuple) -> None:
    """Build an object, and answer calls of its methods until there are no more."""
    # A compiler's processes belong to this one.
    os.setpgrp()
    held = served(*args)
    while True:
        try:
            method, args = connection.recv()
        except EOFError:
            return
        try:
            answer = getattr(held, method)(*args)
        except Exception as error:
            traceback.print_exc()
            answer = WorkerError(f'{type(error).__name__}: {error}'.splitlines()[0])
        connection.send(answer)
