"""A module that ends with the process that started it, even by kill -9: `python -m flows.bound prefect ...`.

Linux tells it; elsewhere it is ended by whoever started it, or by hand. What it starts itself is not bound.
"""

import ctypes
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    module = sys.argv.pop(1)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
