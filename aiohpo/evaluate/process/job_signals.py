"""The signals by which people and batch systems end a job: all that deal with them, in three processes, go by this.

A batch system may send them to every process of a job, and a terminal to every process in its foreground. They mean the
worker: it tells the objectives (:mod:`aiohpo.runtime.signals`), and the processes around them are not to be ended by
the signals themselves.
"""

from __future__ import annotations

import signal

URGENT = (signal.SIGINT, signal.SIGTERM)
WARNINGS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)  # of a batch system, some time before it ends the job
JOB_SIGNALS = (*URGENT, signal.SIGHUP, *WARNINGS)
KEYS = (signal.SIGQUIT, signal.SIGTSTP)  # Ctrl-\ and Ctrl-Z, which are the program's own affair
