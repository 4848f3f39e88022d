"""A process that was started for another one does not outlive it."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """End this process when the one that started it ends, be it by `kill -9`; where none did, nothing."""
    if parent := multiprocessing.parent_process():

        def watch() -> None:
            parent.join()
            os._exit(1)  # an engine core that waits for requests hears no exception

        threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
