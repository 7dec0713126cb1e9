"""The merchant's own service, reached by a signed webhook; its contract is in docs/service.md.

Source: the Standard Webhooks specification, "Webhook headers" and "Best practices".
"""

import asyncio
import socket
from collections.abc import Collection, Sequence
from contextlib import aclosing, suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

import httpx
from pydantic import ValidationError

from adapters.http_errors import error_for_status
from adapters.standard_webhooks import signed_headers
from domain.errors import MisconfiguredError, PermanentError, TransientError
from domain.services import CallStatus, ServiceAnswer, ServiceRequest, ServiceReversalRequest

VENDOR = "service"
TIMEOUT_S = 30.0
"""For a whole answer."""
MAX_ANSWER_BYTES = 256 * 1024
METADATA = frozenset(
    ip_network(network)
    for network in (
        # Alibaba Cloud, "View instance metadata".
        "100.100.100.200",
        # Azure, "What is IP address 168.63.129.16?".
        "168.63.129.16",
        # AWS, "Access instance metadata for an EC2 instance"; the range has its other servers.
        "fd00:ec2::/32",
        # Google Cloud, "View and query VM metadata".
        "fd20:ce::254",
        # Oracle Cloud, "Getting Instance Metadata".
        "fd00:c1::a9fe:a9fe",
        # Scaleway, "Using the Instance metadata API".
        "fd00:42::42",
    )
)
"""Where clouds give secrets away without being asked for any, apart from link-local addresses."""
NAT64 = IPv6Network("64:ff9b::/96")
"""Source: RFC 6052, "Well-Known Prefix"."""


class WebhookService:
    """Asks with `POST` of the whole request as JSON; follows no redirects.

    Whoever may edit products says where that is. So the host must be one that the operator
    allows, or, as long as none is named, at an address where a service can be: not at a cloud's
    metadata, say. What is connected to is the address that was looked at, whatever the name
    leads to a moment later.

    Args:
        secrets: `whsec_…`; the first one signs.
        hosts: The only ones that are asked; empty for any.
    """

    def __init__(self, secrets: Sequence[str], hosts: Collection[str] = ()) -> None:
        self._secrets = secrets
        self._hosts = {host.lower() for host in hosts}
        self._http = httpx.AsyncClient(
            timeout=TIMEOUT_S,
            follow_redirects=False,
            # Connections are kept by address: another host there would get one whose certificate
            # is not its own.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def fulfill(self, url: str, request: ServiceRequest) -> ServiceAnswer:
        """See `activities.ports.MerchantService`."""
        return await self._ask(url, request)

    async def reverse(self, url: str, request: ServiceReversalRequest) -> ServiceAnswer:
        """See `activities.ports.MerchantService`."""
        return await self._ask(url, request)

    async def _ask(
        self, url: str, request: ServiceRequest | ServiceReversalRequest
    ) -> ServiceAnswer:
        if not self._secrets:
            raise MisconfiguredError(
                f"{VENDOR}_unsigned", "APP_WEBHOOK_SECRETS is missing: the kind `webhook` needs it"
            )
        body = request.model_dump_json().encode()
        headers = signed_headers(body, request.id, self._secrets[0])
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                aclosing(await self._posted(url, body, headers)) as answer,
            ):
                if not answer.is_success:
                    # Its text stays out: it may quote the customer.
                    raise error_for_status(
                        VENDOR,
                        answer.status_code,
                        answer.reason_phrase,
                        answer.headers.get("Retry-After"),
                    )
                return _read(answer.status_code, await _bounded(answer))
        except httpx.InvalidURL as error:
            raise PermanentError(f"{VENDOR}_refused", "webhook_url is no URL") from error
        except (httpx.HTTPError, TimeoutError, socket.gaierror) as error:
            raise TransientError(
                f"{VENDOR}_unavailable", f"{VENDOR}: {type(error).__name__}"
            ) from error

    async def _posted(self, url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """The answer, whose body is still to be read; the next address where one is refused."""
        named = httpx.URL(url)
        *others, last = await self._addresses(named)
        for address in others:
            with suppress(httpx.ConnectError):
                return await self._posted_to(address, named, body, headers)
        return await self._posted_to(last, named, body, headers)

    async def _posted_to(
        self, address: str, named: httpx.URL, body: bytes, headers: dict[str, str]
    ) -> httpx.Response:
        request = self._http.build_request(
            "POST",
            named.copy_with(host=address),
            content=body,
            headers={**headers, "Host": named.netloc.decode()},
            extensions={"sni_hostname": named.raw_host.decode()},
        )
        return await self._http.send(request, stream=True)

    async def _addresses(self, url: httpx.URL) -> list[str]:
        """Where a host is, if it may be asked.

        Raises:
            PermanentError: It may not.
            socket.gaierror: Its name is not known, or not now.
        """
        if self._hosts and url.host not in self._hosts:
            raise PermanentError(f"{VENDOR}_forbidden", "SERVICE_HOSTS does not list its host")
        found = await asyncio.get_running_loop().getaddrinfo(
            url.raw_host, url.port or url.scheme, type=socket.SOCK_STREAM
        )
        addresses = [str(where[0]) for *_, where in found]
        for address in addresses:
            if not self._hosts and not _may_serve(address):
                raise PermanentError(
                    f"{VENDOR}_forbidden", f"its host is at {address}, where no service can be"
                )
        return addresses


def _may_serve(text: str) -> bool:
    """Whether a service can be at an address; private ones are the merchant's own network."""
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        address = _within(address) or address
    return not (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or any(address in network for network in METADATA)
    )


def _within(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to an IPv6 address end at."""
    if address in NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour


async def _bounded(answer: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in answer.aiter_bytes():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise TransientError(
                f"{VENDOR}_unreadable", f"the answer is larger than {MAX_ANSWER_BYTES} bytes"
            )
    return bytes(content)


def _read(status: int, content: bytes) -> ServiceAnswer:
    if status == httpx.codes.ACCEPTED and not content.strip():
        return ServiceAnswer(status=CallStatus.PENDING)
    try:
        return ServiceAnswer.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in problem["loc"]) or "body"
        # It may have fulfilled: the next try asks again, under the same ID.
        raise TransientError(
            f"{VENDOR}_unreadable",
            f"{VENDOR} answered {status}, unreadable: {place}: {problem['type']}",
        ) from error
