"""Started with each Python of a run: what azureml still has to send, it sends before Python ends, as Azure sees to.

Where Python's pools of threads end before what `atexit` knows is called, since 3.9, it is called before they do.
"""

import atexit
import concurrent.futures.thread  # noqa: F401 (what is registered after it is called before it)
import importlib.machinery
import importlib.util
import os
import sys
import threading


def send() -> None:
    runs = sys.modules.get("azureml._run_impl.run_base")
    if runs is not None and not runs._RunBase._registered_kill_handlers.empty():
        runs._RunBase._kill(timeout=300)


getattr(threading, "_register_atexit", atexit.register)(send)

# The one that the environment has itself.
here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (each Python of a run would import pathlib)
others = [place for place in sys.path if os.path.abspath(place) != here]  # noqa: PTH100
own = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
if own is not None and own.loader is not None:
    own.loader.exec_module(importlib.util.module_from_spec(own))
