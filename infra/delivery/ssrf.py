"""Where a host name leads: looked up once, checked, then used as it is. So no second answer can lead elsewhere."""

import asyncio
import ipaddress
import socket

from infra.errors import EndpointError

EMBEDDING = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"), ipaddress.ip_network("2001::/32"))
"""IPv6 that leads on to an IPv4 address inside it (RFC 6052, RFC 3056, RFC 4380)."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: Address) -> bool:
    """Return whether an address is one of the public internet, and of one machine.

    Examples
    --------
    >>> [is_public(ipaddress.ip_address(one)) for one in ("8.8.8.8", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1")]
    [True, False, False, False]
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in EMBEDDING):
            return False
    return address.is_global and not address.is_multicast


async def addresses_of(host: str, port: int, *, private: bool) -> list[str]:
    """Return the addresses of a host.

    Parameters
    ----------
    private : bool
        Whether addresses that are not public will do.

    Raises
    ------
    EndpointError
        The name leads nowhere, or one of its addresses is not public.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise EndpointError(f"{host} has no address ({error.strerror or error}); check the name") from error
    known = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in known:
        if not private and not is_public(ipaddress.ip_address(address.partition("%")[0])):
            raise EndpointError(
                f"{host} is at {address}, which is no public address; allow_private_addresses would allow it"
            )
    return known
