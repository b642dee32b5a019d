"""Tests of how processes that ask take turns."""

from __future__ import annotations

from aiohpo.storage import turns
from aiohpo.storage.turns import WITHIN, turn


def test_turns_exclude_one_another(tmp_path, monkeypatch):
    """Whoever wants one waits while another has it, though not for ever; where there are no locks, nobody waits."""
    lock = tmp_path / "turn.lock"
    slept: list[float] = []
    monkeypatch.setattr(turns.time, "sleep", slept.append)
    monkeypatch.setattr(turns.time, "monotonic", lambda: float(len(slept)))
    with turn(lock), turn(lock):
        assert len(slept) == WITHIN  # a look counts as a second here; then it goes on
    slept.clear()
    with turn(lock):
        assert slept == []

    def no_locks(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(turns.fcntl, "flock", no_locks)
    with turn(lock), turn(lock):
        assert slept == []
