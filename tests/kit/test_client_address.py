"""The address of a client behind proxies: nobody but a trusted proxy has a say in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.kit.client_address import client_address, networks, origin_of

PROXIES = networks(["10.0.0.0/8", "fd00::/8", "192.0.2.9"])
CLIENT = "203.0.113.7"


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        # nobody in front
        (CLIENT, [], CLIENT),
        (CLIENT, ["198.51.100.1"], CLIENT),
        (CLIENT, ["10.0.0.1, 10.0.0.2"], CLIENT),
        (None, ["198.51.100.1"], None),
        ("", ["198.51.100.1"], ""),
        ("testclient", ["198.51.100.1"], "testclient"),
        # one proxy
        ("10.0.0.1", [CLIENT], CLIENT),
        ("192.0.2.9", [CLIENT], CLIENT),
        ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", [CLIENT], CLIENT),
        ("10.0.0.1", [f"::ffff:{CLIENT}"], CLIENT),
        # what the client wrote itself stands on the left
        ("10.0.0.1", [f"198.51.100.1, {CLIENT}"], CLIENT),
        ("10.0.0.1", ["198.51.100.1", CLIENT], CLIENT),
        ("10.0.0.1", [f"10.9.9.9, {CLIENT}"], CLIENT),
        ("10.0.0.1", [f"garbage, {CLIENT}"], CLIENT),
        # several proxies
        ("10.0.0.1", [f"{CLIENT}, 10.0.0.2, fd00::2"], CLIENT),
        ("10.0.0.1", [f"1.1.1.1, {CLIENT}, 10.0.0.2"], CLIENT),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        # ports, as some proxies write them
        ("10.0.0.1", [f"{CLIENT}:4711"], CLIENT),
        ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.1", ["[2001:db8::7]"], "2001:db8::7"),
        ("10.0.0.1", [f"  {CLIENT}  "], CLIENT),
        # nothing readable: the proxy itself
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", [f"{CLIENT}, _hidden"], "10.0.0.1"),
        ("10.0.0.1", [f"{CLIENT}, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["203.0.113.007"], "10.0.0.1"),
        ("10.0.0.1", ["x" * 10_000], "10.0.0.1"),
    ],
)
def test_the_first_address_from_the_right_that_no_proxy_of_ours_has_is_the_client(peer, forwarded, found):
    assert client_address(peer, forwarded, PROXIES) == found


def test_without_trusted_proxies_nothing_is_believed():
    assert client_address("10.0.0.1", [CLIENT], ()) == "10.0.0.1"


def test_a_header_without_end_is_read_only_so_far():
    assert client_address("10.0.0.1", [CLIENT + ", 10.0.0.2" * 100_000], PROXIES) == "10.0.0.2"


@given(st.lists(st.text(max_size=40), max_size=5))
def test_whatever_stands_left_of_the_client_changes_nothing(written):
    assert client_address("10.0.0.1", [*written, CLIENT], PROXIES) == CLIENT


@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=5))
def test_no_header_and_no_peer_breaks_it(peer, forwarded):
    client_address(peer, forwarded, PROXIES)
    client_address("10.0.0.1", forwarded, PROXIES)


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "10.0.0.0/33", "proxy.example", "10.0.0.0/8,::1"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError, match=r"network|host bits|not permitted"):
        networks([text])


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        (None, "unknown"),
    ],
)
def test_a_subscriber_of_ipv6_is_one_origin_with_all_addresses(address, origin):
    assert origin_of(address) == origin
