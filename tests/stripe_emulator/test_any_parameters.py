"""Whatever parameters a client may send, the answer fits the SDK or is an error of Stripe's."""

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from stripe_emulator import EmulatorConfig, create_app
from stripe_emulator.config import API_VERSION
from stripe_emulator.params import Shape, shape_of
from stripe_emulator.resources.table import OPERATIONS

from .sdk_schema import validate

REQUESTS = 500
ITEMS_OF = {"POST /v1/checkout/sessions", "POST /v1/payment_links"}
NOT_SDK = ("/v1/payment_pages", "/v1/stripecli", "/v2/")
"""Not in the SDK, or, of v2, sent as JSON."""
PATH_PARTS = {
    "intent": "payment_intent",
    "shipping_rate_token": "shipping_rate",
    "subscription_exposed_id": "subscription",
}


class Client:
    """Makes up parameters by their types, with the IDs of objects that exist."""

    def __init__(self, seed: int, http: httpx.AsyncClient) -> None:
        self.random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.http = http
        self.ids: dict[str, list[str]] = defaultdict(list)

    async def prepare(self) -> None:
        # Made-up webhook endpoints would be looked up in the network.
        await self.http.post("/_emulator/deliveries", json={"mode": "drop"})
        for currency in ("usd", "usd", "jpy"):
            data = {"currency": currency, "unit_amount": "100", "product_data[name]": "x"}
            await self._send("POST", "/v1/prices", data)

    async def send_any(self) -> str:
        """Send one request; answers the operation's name if it was carried out."""
        operation = self.random.choice(
            [o for o in OPERATIONS if not any(part in o.name for part in NOT_SDK)]
            + [o for o in OPERATIONS if o.name in ITEMS_OF] * 15
        )
        method, template = operation.name.split(" ")
        kind = template.split("/")[2].removesuffix("s")
        path = re.sub(r"\{(\w+)\}", lambda m: self._id(PATH_PARTS.get(m[1], m[1]), kind), template)
        shape = operation.shape if operation.shape is not None else shape_of(operation.name)
        made = self._some(shape) if operation.name in ITEMS_OF else self._value(shape, "")
        done = await self._send(method, path, dict(_fields(made, "")))
        return operation.name if done else ""

    async def _send(self, method: str, path: str, data: dict[str, str]) -> bool:
        where = {"data": data} if method == "POST" else {"params": data}
        answer = await self.http.request(method, path, **where)  # type: ignore[arg-type]
        assert answer.status_code < 500, (method, path, data, answer.text)
        body = answer.json()
        if answer.status_code != 200:
            assert body["error"]["message"], (method, path, data)
            return False
        for obj in body["data"] if body["object"] == "list" else [body]:
            if obj.get("deleted"):
                continue
            try:
                validate({**obj, "data": {"object": {}}} if obj["object"] == "event" else obj)
            except Exception as error:
                raise AssertionError((method, path, data)) from error
            kind = obj["object"].removeprefix("checkout.")
            self.ids[kind] = [*self.ids[kind], obj["id"]][-5:]
        return True

    async def pay_any(self) -> None:
        session = self._id("session", "")
        method = self.random.choice(["card", "bank_debit"])
        await self.http.post(f"/_emulator/sessions/{session}/pay", json={"method": method})

    def _id(self, name: str, kind: str) -> str:
        known = self.ids.get(name) or self.ids.get(kind)
        return self.random.choice(known) if known else "none"

    def _some(self, shape: Shape) -> dict[str, Any]:
        """A few of the many parameters of a session or link, with items that exist."""
        assert isinstance(shape, dict)
        left_out = {"expand", "expires_at", "mode", "ui_mode", "return_url", "cancel_url"}
        names = set(self.random.sample(list(shape["object"]), 4)) - left_out
        made = {name: self._value(shape["object"][name], name) for name in sorted(names)}
        if "success_url" in shape["object"]:
            made |= {"mode": "payment", "success_url": "https://example.com"}
        return made | {"line_items": [{"price": self._id("price", ""), "quantity": 1}]}

    def _value(self, shape: Shape, name: str) -> Any:
        choose = self.random.choice
        if isinstance(shape, str):
            return self._scalar(shape, name)
        if "enum" in shape:
            return choose(shape["enum"][:6])
        if "one_of" in shape:
            return self._value(choose(shape["one_of"]), name)
        if "array" in shape:
            return [self._value(shape["array"], name.removesuffix("s"))] * choose([0, 1, 2])
        if "map" in shape:
            return {choose("ab0"): self._value(shape["map"], name)}
        required = set(shape.get("required", ()))
        odds = min(0.4, 4 / max(1, len(shape["object"])))
        return {
            field: self._value(inner, field)
            for field, inner in shape["object"].items()
            if field != "expand" and (field in required or self.random.random() < odds)
        }

    def _scalar(self, shape: str, name: str) -> str:
        choose = self.random.choice
        if shape == "string":
            if name in self.ids and self.random.random() < 0.8:
                return self._id(name, "")
            known = {"currency": "usd", "url": "https://example.com", "country": "US"}
            return known.get(name) or choose(["x", "pm_card_visa", "42"])
        return {
            "integer": choose(["1", "500", "0", "-1", "2000000000"]),
            "boolean": choose(["true", "false"]),
        }.get(shape, choose(["1.5", "10"]))


def _fields(value: object, prefix: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _fields(inner, f"{prefix}[{key}]" if prefix else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _fields(inner, f"{prefix}[{index}]")
    else:
        yield prefix, str(value)


@pytest.mark.parametrize("seed", range(4))
async def test_any_parameters_get_an_object_that_fits_or_an_error(seed: int) -> None:
    transport = httpx.ASGITransport(create_app(EmulatorConfig()))
    headers = {"Authorization": "Bearer sk_test_any", "Stripe-Version": API_VERSION}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers=headers
    ) as http:
        client = Client(seed, http)
        await client.prepare()
        carried_out = []
        for _ in range(REQUESTS):
            carried_out.append(await client.send_any())
            await client.pay_any()
    assert carried_out.count("POST /v1/checkout/sessions") > 15
    assert len(set(carried_out)) > 25
