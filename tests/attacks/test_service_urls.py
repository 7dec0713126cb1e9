"""Where a product's `webhook_url` may lead the worker (SSRF)."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from adapters.service_webhook import WebhookService
from domain.errors import PermanentError, TransientError
from domain.services import CallStatus, ServiceReversal, ServiceReversalRequest
from tests.harness.service import merchant_service
from tests.harness.tls import make_certificates, tls_front
from tests.harness.world import STANDARD_WEBHOOKS_SECRET, World

REQUEST = ServiceReversalRequest(
    id="call_1",
    timestamp=datetime.now(UTC),
    data=ServiceReversal(
        fulfillment_id="call_0",
        session_id="cs_test_1",
        account=None,
        livemode=False,
        line_item_id="li_1",
        quantity=1,
        quantity_kept=0,
        webhook_data=None,
    ),
)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "0xa9.0xfe.0xa9.0xfe",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "0.0.0.0",  # noqa: S104 - nothing listens there
        "[::]",
        "224.0.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "[fd00:c1::a9fe:a9fe]",
        "[fd00:42::42]",
        "[64:ff9b::169.254.169.254]",
        "[2002:a9fe:a9fe::1]",
    ],
)
async def test_no_service_is_asked_where_none_can_be(host: str) -> None:
    async with WebhookService([STANDARD_WEBHOOKS_SECRET]) as service:
        with pytest.raises(PermanentError, match="where no service can be"):
            await service.reverse(f"https://{host}/latest/meta-data", REQUEST)


async def test_with_hosts_no_other_is_asked() -> None:
    async with merchant_service() as merchant:
        async with WebhookService([STANDARD_WEBHOOKS_SECRET], ["seats.example.com"]) as service:
            with pytest.raises(PermanentError, match="SERVICE_HOSTS does not list its host"):
                await service.reverse(merchant.url, REQUEST)
        assert merchant.asked == []
        async with WebhookService([STANDARD_WEBHOOKS_SECRET], ["127.0.0.1"]) as service:
            assert (await service.reverse(merchant.url, REQUEST)).status is CallStatus.FULFILLED
        url = merchant.url.replace("127.0.0.1", "localhost")
        async with WebhookService([STANDARD_WEBHOOKS_SECRET], ["localhost"]) as service:
            assert (await service.reverse(url, REQUEST)).status is CallStatus.FULFILLED


async def test_the_certificate_is_that_of_the_name_not_of_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = make_certificates(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    async with (
        merchant_service() as merchant,
        tls_front(urlsplit(merchant.url).netloc, certificates, client_certificate=False) as front,
        WebhookService([STANDARD_WEBHOOKS_SECRET]) as service,
    ):
        url = f"https://localhost:{front.port}/fulfill"
        assert (await service.reverse(url, REQUEST)).status is CallStatus.FULFILLED
        with pytest.raises(TransientError, match="ConnectError"):
            await service.reverse(url.replace("localhost", "127.0.0.1"), REQUEST)
    assert f"Host: localhost:{front.port}".encode() in front.sent


async def test_a_forbidden_host_waits_for_an_operator(world: World) -> None:
    metadata = {"fulfillment": "webhook", "webhook_url": "https://169.254.169.254/"}
    async with world.worker():
        session_id = await world.shop.buy(metadata)
        stuck = await world.step_in(session_id, "action_required")
    assert (stuck.error or "").startswith("service_forbidden: its host is at 169.254.169.254")
