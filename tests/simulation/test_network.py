"""Hosts of one machine for the proof over a network: reachable, cut off, healed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from simulation.network.hosts import Hosts, HostsError

# Nothing listens there, so an answer is a refusal and silence is a cut.
PORT = 9


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    try:
        made = Hosts(["a", "b"])
    except HostsError as error:
        pytest.skip(str(error))
    yield made
    made.remove()


def test_a_host_has_a_name_and_a_network_of_its_own(hosts: Hosts) -> None:
    shown = subprocess.run(
        hosts.words("a", ["sh", "-c", "hostname; ip -brief address"]),
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert shown.splitlines()[0] == "a"
    assert hosts.addresses["a"] in shown
    assert hosts.addresses["b"] not in shown


def test_a_cut_is_silence_until_it_is_healed(hosts: Hosts) -> None:
    words = ["timeout", "5", "bash", "-c", f"echo > /dev/tcp/{hosts.addresses['b']}/{PORT}"]

    def told() -> str:
        done = subprocess.run(hosts.words("a", words), capture_output=True, text=True, check=False)
        return done.stderr

    assert "refused" in told()
    hosts.cut("b")
    words[1] = "1"
    assert "refused" not in told()
    hosts.heal("b")
    words[1] = "5"
    assert "refused" in told()


def test_hosts_are_made_again_at_once(hosts: Hosts) -> None:
    hosts.remove()

    for _ in range(10):
        Hosts(["a", "b"]).remove()
