"""Two sites of machines, joined by one long and lossy line: network namespaces, bridges and a wire in between.

Each machine is a namespace with one network card (veth), plugged into its site's bridge. The bridges live in a
namespace of their own, so that nothing here touches the network of the machine that the tests run on. The line
between the sites is a program: this file, run as a script, carries Ethernet frames from one bridge's tap to the
other's, late and not all of them. That needs nothing of the kernel but taps; ``tc netem`` does the same where the
kernel has it, which those of containers and small virtual machines often do not.
"""

from __future__ import annotations

import heapq
import os
import random
import secrets
import select
import shutil
import struct
import subprocess
import sys
import time

_TUNSETIFF = 0x400454CA
_TAP_WITHOUT_HEADER = 0x0002 | 0x1000
_TAPS = ("tap0", "tap1")


class NotPermitted(Exception):
    """Namespaces cannot be made here, and why."""


class Sites:
    """Two sites of ``n`` machines each. ``delay`` and ``jitter`` in seconds, one way; ``loss`` in frames of one."""

    def __init__(self, n: int, delay: float, jitter: float, loss: float) -> None:
        if shutil.which("ip") is None:
            raise NotPermitted("there is no 'ip' command (iproute2)")
        if os.geteuid() != 0 or not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            raise NotPermitted("network namespaces need root and /dev/net/tun")
        name = f"aiohpo-{secrets.token_hex(4)}"
        self.machines = [f"{name}-{i}" for i in range(2 * n)]
        self.sites = [list(range(n)), list(range(n, 2 * n))]
        self._between = f"{name}-net"
        self._made: list[str] = []
        self._line: subprocess.Popen[bytes] | None = None
        try:
            self._build(delay, jitter, loss)
        except BaseException:
            self.remove()
            raise

    def _build(self, delay: float, jitter: float, loss: float) -> None:
        for namespace in (self._between, *self.machines):
            _ip("netns", "add", namespace)
            self._made.append(namespace)
            _ip("-n", namespace, "link", "set", "lo", "up")
        for site, tap in enumerate(_TAPS):
            bridge = f"site{site}"
            self._ip("link", "add", bridge, "type", "bridge")
            self._ip("tuntap", "add", "dev", tap, "mode", "tap")
            for change in (("set", bridge, "up"), ("set", tap, "master", bridge), ("set", tap, "up")):
                self._ip("link", *change)
            for machine in self.sites[site]:
                there = self.machines[machine]
                self._ip("link", "add", f"port{machine}", "type", "veth", "peer", "name", "card", "netns", there)
                self._ip("link", "set", f"port{machine}", "master", bridge)
                self._ip("link", "set", f"port{machine}", "up")
                _ip("-n", there, "address", "add", f"{self.host(machine)}/24", "dev", "card")
                _ip("-n", there, "link", "set", "card", "up")
        line = [sys.executable, __file__, *map(str, (delay, jitter, loss))]
        self._line = subprocess.Popen(["ip", "netns", "exec", self._between, *line], stdout=subprocess.PIPE)
        assert self._line.stdout is not None
        if self._line.stdout.readline() != b"ready\n":
            raise NotPermitted("the line between the sites cannot open its taps")

    def host(self, machine: int) -> str:
        """A machine's address."""
        return f"10.77.0.{machine + 1}"

    def on(self, machine: int) -> list[str]:
        """What to put before a command so that it runs on this machine."""
        return ["ip", "netns", "exec", self.machines[machine]]

    def cut(self) -> None:
        """Cut the line: frames vanish, and nobody is told."""
        self._ip("link", "set", "tap0", "nomaster")

    def mend(self) -> None:
        """Join the sites again."""
        self._ip("link", "set", "tap0", "master", "site0")

    def remove(self) -> None:
        """Remove everything. What runs on the machines must have ended."""
        if self._line is not None:
            self._line.kill()
            self._line.communicate()
        for namespace in reversed(self._made):
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True, timeout=600)

    def _ip(self, *args: str) -> None:
        _ip("-n", self._between, *args)


def _ip(*args: str) -> None:
    done = subprocess.run(["ip", *args], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise NotPermitted(f"ip {' '.join(args)}: {done.stderr.strip()}")


# -------------------------------------------------------------------------------------------------- the line
def _open_tap(name: str) -> int:
    import fcntl

    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP_WITHOUT_HEADER))
    return fd


def _carry(delay: float, jitter: float, loss: float) -> None:
    """Carry frames between the taps until killed. Order is kept: a line has one path."""
    ends = [_open_tap(name) for name in _TAPS]
    other = dict(zip(ends, reversed(ends), strict=True))
    rng = random.Random(1)
    waiting: list[tuple[float, int, int, bytes]] = []
    last = dict.fromkeys(ends, 0.0)
    number = 0
    print("ready", flush=True)
    while True:
        pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for fd in select.select(ends, [], [], pause)[0]:
            frame = os.read(fd, 1 << 16)
            if rng.random() < loss:
                continue
            to, number = other[fd], number + 1
            last[to] = max(last[to], time.monotonic() + delay + rng.uniform(-jitter, jitter))
            heapq.heappush(waiting, (last[to], number, to, frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, to, frame = heapq.heappop(waiting)
            try:
                os.write(to, frame)
            except OSError:
                pass  # full or down: lost


if __name__ == "__main__":
    _carry(*map(float, sys.argv[1:]))
