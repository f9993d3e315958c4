"""From where a request really comes, when proxies of ours stand in front. Pure."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

_MOST_HOPS: Final = 16
_LONGEST: Final = 64
_V6_PREFIX: Final = 64


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses (`10.0.0.1`) and networks (`10.0.0.0/8`, `fd00::/8`). Raises ValueError."""
    return tuple(ip_network(text) for text in texts)


def client_address(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> str | None:
    """The address of the client: that of the connection, unless it comes from a proxy that is `trusted`.

    Each proxy appends to `X-Forwarded-For` from whom it got the request. So it is read from the right, as long as the
    one who wrote is trusted; what stands further left was written by whoever liked to. `forwarded` are the values of
    the headers in their order. Behind something unreadable nobody is looked for: the proxy that passed it on counts.
    """
    if peer is None:
        return None
    nearest = _parsed(peer)
    if nearest is None or not _is_trusted(nearest, trusted):
        return peer
    hops = ",".join(forwarded).rsplit(",", _MOST_HOPS)[-_MOST_HOPS:]
    for hop in reversed(hops):
        found = _parsed(hop)
        if found is None:
            break
        nearest = found
        if not _is_trusted(found, trusted):
            break
    return str(nearest)


def origin_of(address: str | None) -> str:
    """What counts as one origin where something is limited: an IPv4 address, or the /64 that a subscriber gets of IPv6.

    What is no address is its own origin, and all who have none are one.
    """
    if address is None:
        return "unknown"
    parsed = _parsed(address)
    if parsed is None:
        return address
    return str(parsed) if isinstance(parsed, IPv4Address) else str(ip_network((int(parsed), _V6_PREFIX), strict=False))


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)


def _parsed(text: str) -> Address | None:
    """An address, perhaps with a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`."""
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
