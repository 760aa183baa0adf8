"""
Hosts of one machine: a network namespace and a host name each, all on one bridge.

Needs the right to make namespaces (root) and Debian's iproute2; a cut link loses packets
without a word, as a pulled cable does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence

NOT_PERMITTED = "network namespaces cannot be made here: this needs root and iproute2"


class HostsError(Exception):
    """No hosts can be made here; the message says what is missing."""


class Hosts:
    """Named hosts with an address each; the machine itself is the first of their network."""

    def __init__(self, names: Sequence[str]) -> None:
        """
        Make the bridge and all hosts.

        Raises:
            HostsError: if that is not permitted here.
        """
        number = os.getpid() % 10_000
        self._bridge = f"exb{number}"
        # One of the networks that are for tests: 198.18.0.0/15.
        self._network = f"198.18.{number % 250}"
        self.gateway = f"{self._network}.1"
        self.addresses = {name: f"{self._network}.{2 + at}" for at, name in enumerate(names)}
        self._spaces = {name: f"exn{number}-{name}" for name in names}
        self._links = {name: f"ex{number}v{at}" for at, name in enumerate(names)}
        if os.geteuid() != 0 or shutil.which("ip") is None:
            raise HostsError(NOT_PERMITTED)
        try:
            self._make()
        except subprocess.CalledProcessError as error:
            self.remove()
            raise HostsError(f"{NOT_PERMITTED} ({error.stderr.decode().strip()})") from error

    def words(self, name: str, command: Sequence[str]) -> list[str]:
        """Return the command line that runs a command on a host."""
        inside = ["ip", "netns", "exec", self._spaces[name]]
        naming = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]
        return [*inside, *naming, *command]

    def cut(self, name: str) -> None:
        """Let no packet through to a host or from it."""
        _ip("link", "set", self._links[name], "down")

    def heal(self, name: str) -> None:
        """Connect a host again."""
        _ip("link", "set", self._links[name], "up")

    def remove(self) -> None:
        """Delete hosts and bridge; what runs there must have ended."""
        for name, space in self._spaces.items():
            # A namespace takes its links along only later: their names would still be taken.
            for words in (("link", "delete", self._links[name]), ("netns", "delete", space)):
                with contextlib.suppress(subprocess.CalledProcessError):
                    _ip(*words)
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("link", "delete", self._bridge)

    def _make(self) -> None:
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("address", "add", f"{self.gateway}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        for name, space in self._spaces.items():
            link, inside = self._links[name], ("-netns", space)
            _ip("netns", "add", space)
            _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("link", "set", link, "master", self._bridge, "up")
            _ip(*inside, "address", "add", f"{self.addresses[name]}/24", "dev", "eth0")
            _ip(*inside, "link", "set", "eth0", "up")
            _ip(*inside, "link", "set", "lo", "up")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
