"""Tests of meeting by directory."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from aiohpo.errors import UsageError
from aiohpo.launch.cards import MOST, Card, cards_of, directory_of, keeps_key


def test_directory_addresses():
    """file:// with an absolute path names a directory; other addresses do not."""
    assert directory_of("file:///a/b%20c") == Path("/a/b c")
    assert directory_of("file://localhost/a") == Path("/a")
    assert directory_of("tcp://host:5555") is None


@pytest.mark.parametrize("address", ["file:relative", "file://host/path", "file:"])
def test_other_file_addresses_are_errors(address):
    """A relative path or another host is refused with the right form."""
    with pytest.raises(UsageError, match="write file:///absolute/path"):
        directory_of(address)


def test_workers_find_each_other(tmp_path):
    """Each sees the addresses that others left, newest first, and not its own."""
    ann, bob, cid = (Card(tmp_path / "peers", name) for name in ("ann", "bob", "cid"))
    for i, worker in enumerate((ann, bob, cid)):
        worker.announce(f"inproc://{i}")
        os.utime(worker._card, (i, i))
    assert ann.others() == ["inproc://2", "inproc://1"]
    assert bob.others() == ["inproc://2", "inproc://0"]
    cid.withdraw()
    cid.withdraw()
    assert ann.others() == ["inproc://1"]


def test_unreadable_cards_do_not_hide_the_others(tmp_path):
    """A card that vanished, is empty or holds junk is passed over."""
    me = Card(tmp_path, "me")
    (tmp_path / "aaa.address").symlink_to(tmp_path / "nowhere")
    (tmp_path / "bbb.address").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "ccc.address").write_text("")
    (tmp_path / "zzz.address").write_text("inproc://z\n")
    assert me.others() == ["inproc://z"]


def test_only_the_newest_cards_count(tmp_path):
    """Cards of long dead workers pile up; a bounded number is greeted."""
    for i in range(MOST + 10):
        card = tmp_path / f"w{i}.address"
        card.write_text(f"inproc://{i}")
        os.utime(card, (i, i))
    others = Card(tmp_path, "me").others()
    assert len(others) == MOST
    assert others[0] == f"inproc://{MOST + 9}"


def test_an_unusable_directory_is_a_usage_error(tmp_path):
    """Where no card can be left, the error names the place."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot leave an address in"):
        Card(tmp_path / "file", "me").announce("inproc://x")
    assert Card(tmp_path / "nowhere", "me").others() == []


def test_a_run_directory_is_met_in_its_peers(tmp_path):
    """The run directory and its peers mean the same place and the same key; any other directory is its own."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "study.json").write_text("{}")
    assert cards_of(tmp_path / "run") == cards_of(tmp_path / "run" / "peers") == tmp_path / "run" / "peers"
    assert keeps_key(tmp_path / "run") == keeps_key(tmp_path / "run" / "peers") == tmp_path / "run"
    assert cards_of(tmp_path / "meet") == keeps_key(tmp_path / "meet") == tmp_path / "meet"


def test_what_others_put_there_does_no_harm(tmp_path):
    """A pipe, a device, a directory, a long or unprintable text is passed over at once."""
    os.mkfifo(tmp_path / "a.address")
    (tmp_path / "b.address").symlink_to("/dev/zero")
    (tmp_path / "c.address").mkdir()
    (tmp_path / "d.address").write_text("tcp://" + "x" * 5000)
    (tmp_path / "e.address").write_text("tcp://\x1b[2Jhost:1")
    (tmp_path / "f.address").write_text("inproc://f")
    assert Card(tmp_path, "me").others() == ["inproc://f"]


def test_the_own_cards_come_first(tmp_path, monkeypatch):
    """Newer cards of other users do not crowd out one's own."""
    for name, age in (("mine", 1), ("theirs", 2)):
        (tmp_path / f"{name}.address").write_text(f"inproc://{name}")
        os.utime(tmp_path / f"{name}.address", (age, age))
    scandir = os.scandir

    def owned(path):
        found = list(scandir(path))
        me = os.geteuid()

        class Entry:
            def __init__(self, entry):
                self.name, self.path, self.entry = entry.name, entry.path, entry

            def stat(self, *, follow_symlinks):
                status = list(self.entry.stat(follow_symlinks=follow_symlinks))
                status[4] = me if self.name.startswith("mine") else me + 1
                return os.stat_result(status)

        return contextlib.nullcontext([Entry(entry) for entry in found])

    monkeypatch.setattr(os, "scandir", owned)
    assert Card(tmp_path, "me").others() == ["inproc://mine", "inproc://theirs"]


@pytest.mark.parametrize(("mode", "card"), [(0o700, 0o600), (0o755, 0o644), (0o777, 0o644), (0o2770, 0o640)])
def test_who_can_look_into_a_directory_can_read_its_cards(tmp_path, mode, card):
    """Other users who have the key may meet there; a directory that is made is its owner's."""
    tmp_path.chmod(mode)
    Card(tmp_path, "ann").announce("tcp://1.2.3.4:5")
    assert (tmp_path / "ann.address").stat().st_mode & 0o777 == card
    Card(tmp_path / "new", "ann").announce("tcp://1.2.3.4:5")
    assert (tmp_path / "new").stat().st_mode & 0o007 == 0
