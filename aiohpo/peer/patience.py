"""How long a worker waits for problems that no trial caused: a full disk, no processes or file descriptors left.

Such trouble often passes by itself: another program ends, or room is made. So the worker waits, longer each time,
and takes up what it was doing; trouble that does not pass ends it, with the reason. Pure: the shell keeps the time.
"""

from __future__ import annotations

from ..errors import Unavailable

# Seconds of unbroken trouble after which a worker stops. Processes and descriptors that other programs have used up are
# back within seconds; a disk that is still full after half a minute stays full until a person reads the message.
PATIENCE = 30.0
# A trial that runs for hours before its checkpoint cannot be written deserves a second and a third attempt.
LEAST_ATTEMPTS = 3
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0


def in_words(error: OSError) -> str:
    """What the system says about an error, without temporary names: the same trouble reads the same everywhere."""
    return error.strerror or str(error) or type(error).__name__


class Patience:
    """Counts one worker's troubles."""

    def __init__(self) -> None:
        self.trouble = ""  # the latest, in words; empty when there is none
        self._since = 0.0
        self._attempts = 0

    def suffer(self, now: float, trouble: str, *, may_stop: bool = True) -> float:
        """Take note of a trouble; return the seconds to wait. Raises :class:`Unavailable` if it has lasted too long and
        the worker ``may_stop``, since nothing runs there that would be lost."""
        if not self.trouble:
            self._since, self._attempts = now, 0
        self.trouble = trouble
        self._attempts += 1
        if may_stop and now - self._since >= PATIENCE and self._attempts >= LEAST_ATTEMPTS:
            raise self.reason_to_stop(now)
        return min(_FIRST_PAUSE * 2.0 ** min(self._attempts - 1, 10), _LONGEST_PAUSE)

    @property
    def has_just_begun(self) -> bool:
        """Whether the present trouble has only just begun."""
        return self._attempts == 1

    def relieve(self) -> bool:
        """Take note that things work again; return whether there had been any trouble."""
        was, self.trouble = bool(self.trouble), ""
        return was

    def reason_to_stop(self, now: float) -> Unavailable:
        """What to raise when the worker stops for its present trouble."""
        return Unavailable(
            f"{self.trouble}. This has lasted for {now - self._since:.0f} s, so the worker stops. No trial has failed "
            "because of this; run the same command again once it is fixed"
        )

    def __repr__(self) -> str:
        return f"<Patience: {self.trouble or 'no trouble'}>"
