"""Tests of meeting by directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aiohpo.interfaces import UsageError
from aiohpo.rendezvous import MOST, Rendezvous, directory_of


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
    ann, bob, cid = (Rendezvous(tmp_path / "peers", name) for name in ("ann", "bob", "cid"))
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
    me = Rendezvous(tmp_path, "me")
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
    others = Rendezvous(tmp_path, "me").others()
    assert len(others) == MOST
    assert others[0] == f"inproc://{MOST + 9}"


def test_an_unusable_directory_is_a_usage_error(tmp_path):
    """Where no card can be left, the error names the place."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot leave an address in"):
        Rendezvous(tmp_path / "file", "me").announce("inproc://x")
    assert Rendezvous(tmp_path / "nowhere", "me").others() == []
