"""Guard against SSRF and DNS rebinding: resolve a host once, reject addresses that are not public, pin the result."""

import asyncio
import ipaddress
import socket
from concurrent.futures import Executor
from functools import partial
from typing import Final

from infra.errors import EndpointError

GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
"""The IPv6 addresses that the internet routes (RFC 4291, 2.4)."""

SPECIAL: Final = tuple(
    ipaddress.ip_network(block)
    for block in (
        "192.0.0.0/24",  # protocol assignments, and the metadata service of Oracle Cloud at .192
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # the host of a virtual machine on Azure
        "2001::/23",  # protocol assignments; Teredo leads on to an IPv4 address (RFC 4380)
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4 leads on to an IPv4 address (RFC 3056)
        "3fff::/20",  # documentation
    )
)
"""Blocks that may count as global, and where no study app is."""

METADATA: Final = frozenset(
    ipaddress.ip_address(address)
    for address in (
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle Cloud
        "fd00:ec2::23",  # AWS, of pods
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google Cloud
    )
)
"""Services of clouds that hand out a machine's credentials and are not at a link-local address."""

NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
"""Addresses whose end is the IPv4 address that a gateway leads on to (RFC 6052)."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: Address) -> bool:
    """Return whether an address is a unicast address of the public internet.

    Examples
    --------
    >>> tried = ("8.8.8.8", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1")
    >>> [is_public(ipaddress.ip_address(address)) for address in tried]
    [True, False, False, False]
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address not in GLOBAL_UNICAST:
            return False
    special = any(address in block for block in SPECIAL if block.version == address.version)
    return address.is_global and not address.is_multicast and not special


async def resolve_host(host: str, port: int, *, allow_private: bool, threads: Executor | None = None) -> list[str]:
    """Return the addresses of a host.

    Parameters
    ----------
    host : str
        In ASCII, internationalised labels as ``xn--``: Python would encode them by IDNA 2003.
    allow_private : bool
        Whether addresses that are not public will do, those of metadata services excepted.
    threads : Executor, optional
        Waits for the resolver; by default the event loop's threads, which everything else waits in too.

    Raises
    ------
    EndpointError
        The name does not resolve, or one of its addresses is not public, or of the link.
    """
    try:
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        answers = await asyncio.get_running_loop().run_in_executor(threads, look_up)
    except OSError as error:
        raise EndpointError(f"{host} has no address ({error.strerror or error}); check the name") from error
    except UnicodeError as error:  # empty labels, and labels of more than 63 characters
        raise EndpointError(f"{host} is no host name ({error}); register a valid address") from error
    addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    for address in addresses:
        parsed = ipaddress.ip_address(address.partition("%")[0])
        if _holds_credentials(parsed):
            raise EndpointError(
                f"{host} is at {address}, where machines keep their credentials; register another address"
            )
        if not allow_private and not is_public(parsed):
            raise EndpointError(
                f"{host} is at {address}, which is no public address; allow_private_addresses would allow it"
            )
    return addresses


def _holds_credentials(address: Address) -> bool:
    """Return whether an address is of the link alone or a metadata service: no study app is there."""
    if isinstance(address, ipaddress.IPv6Address):
        end = ipaddress.IPv4Address(int(address) % 2**32)
        inner = end if address in NAT64 else address.ipv4_mapped or address.sixtofour
        if inner:
            return _holds_credentials(inner)
    return address.is_link_local or address in METADATA
