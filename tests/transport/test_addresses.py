"""How addresses of the service are written, and which are this machine."""

from __future__ import annotations

import pytest

from dora.transport.addresses import is_loopback, shown_address, split_address


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "0:0:0:0:0:0:0:1"])
def test_loopback_is_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "robot", "10.0.0.1", "127.robot.example", "0.0.0.0", "::", "fe80::1", "a\0"])
def test_any_other_host_is_not_this_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("robot", ("robot", 6013)),
        ("robot:7", ("robot", 7)),
        ("10.0.0.1:0", ("10.0.0.1", 0)),
        ("::1", ("::1", 6013)),
        ("fe80::1:7", ("fe80::1:7", 6013)),
        ("[::1]", ("::1", 6013)),
        ("[fe80::1]:7", ("fe80::1", 7)),
    ],
)
def test_address_is_a_host_and_perhaps_a_port(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address


@pytest.mark.parametrize("text", ["", ":7", "[]:7", "robot:", "robot:x", "robot:65536", "robot:-1", "robot:\u0667"])
def test_anything_else_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="expected HOST or HOST:PORT, for example"):
        split_address(text)


@pytest.mark.parametrize("address", [("robot", 7), ("::1", 7)])
def test_address_is_shown_as_it_is_read(address: tuple[str, int]) -> None:
    assert split_address(shown_address(*address)) == address
