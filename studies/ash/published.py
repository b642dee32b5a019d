"""The figures of the paper, and of an implementation of ASHA that is published with one."""

CANDIDATES, THREADS, SPEED_UP = 256, 32, 3.57  # asynchronous against sequential successive halving, eta 2
OTHER_WORKERS, OTHER_SPEED_UP = 25, 10.0
