"""Processes that load pictures."""

import signal


def quiet_worker(_: int) -> None:
    """Leave signals to the main process, and end when it does.

    Terminals and schedulers send them to the whole group of processes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
