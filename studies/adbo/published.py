"""What the paper reports: utilisation, evaluations that ended, and the best value found, by the number of workers."""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """The outcome of a search in the paper."""

    utilisation: float
    evaluations: int
    best: float


ADBO = {
    128: Published(0.928, 2_975, 4.18),
    512: Published(0.909, 11_702, 3.50),
    1024: Published(0.893, 22_863, 3.08),
    2048: Published(0.855, 43_914, 2.87),
    4096: Published(0.773, 79_473, 2.81),
}
SDBO = {
    128: Published(0.519, 1_658, 11.41),
    4096: Published(0.486, 49_964, 3.96),
}
# ADBO with 4,096 workers, by the number of dimensions
UTILISATION = {5: 0.748, 10: 0.659, 30: 0.486, 50: 0.296, 100: 0.147}
