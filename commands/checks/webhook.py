"""Checks of the way of an event: registered at Stripe, delivered, and accepted here.

Source: Stripe's pages "Receive Stripe events in your webhook endpoint" and "Connect webhooks".
"""

import hashlib
import hmac
import json
from datetime import timedelta
from http import HTTPStatus
from uuid import uuid4

import httpx

from adapters.stripe_account import ALL_EVENTS, WebhookEndpoint
from adapters.stripe_api import API_VERSION, PAGE_SIZE
from api.events import handled_events
from commands.addresses import listen_command, stripe_cannot_deliver, webhook_url
from commands.checks.registry import Finding, Group, Site, fail, ok, skipped, warn
from commands.checks.stripe_side import REACH_STRIPE, stripe_key

SETUP = "Run `fulfillment setup`"
SETUP_CONNECT = f"{SETUP[:-1]} --connect`"
RECENT = timedelta(days=3)
"""So long Stripe goes on trying to deliver an event."""
UNDER_WAY = timedelta(minutes=1)
"""A younger event may be on its way at this moment."""
PROBE_TYPE = "fulfillment.doctor"
"""An event type that nobody handles, so that nothing follows from it."""
ANSWER_TIMEOUT_S = 8.0

group = Group()


@group.check("webhook endpoint", needs=["public_url"], after=[stripe_key], remedy=REACH_STRIPE)
async def webhook_endpoint(site: Site) -> Finding:
    """Whether Stripe has one endpoint for us."""
    if stripe_cannot_deliver(site.settings):
        return skipped("Stripe cannot reach PUBLIC_URL", f"Run `{listen_command(site.settings)}`")
    url = webhook_url(site.settings)
    own = (await site.account.endpoints_at(url)).own
    if not own:
        return fail(f"none for {url}", f"{SETUP}: it creates one")
    if len(own) > 1:
        ids = ", ".join(endpoint.id for endpoint in own)
        return warn(
            f"{len(own)} for one URL, each event comes from each: {ids}",
            "Delete all but one: Dashboard, Developers, Webhooks (harmless while they are there)",
        )
    return ok(f"{own[0].id}: {url}")


@group.check("endpoint enabled", after=[webhook_endpoint], remedy=REACH_STRIPE)
async def endpoint_enabled(site: Site) -> Finding:
    """Whether Stripe sends anything to it."""
    endpoint = await _endpoint(site)
    if not endpoint.enabled:
        return fail(f"{endpoint.id} is disabled: nothing is sent", f"{SETUP}: it enables it")
    return ok("enabled")


@group.check("endpoint events", after=[webhook_endpoint], remedy=REACH_STRIPE)
async def endpoint_events(site: Site) -> Finding:
    """Whether Stripe sends it what the API handles, and no more."""
    return _judged_events(await _endpoint(site), SETUP)


@group.check("endpoint API version", after=[webhook_endpoint], remedy=REACH_STRIPE)
async def endpoint_version(site: Site) -> Finding:
    """Which version events are rendered in: any will do."""
    version = (await _endpoint(site)).api_version
    if version == API_VERSION:
        return ok(version)
    # An event only says which object to retrieve, and that happens in the pinned version.
    return ok(f"{version or 'the default of the account'}: harmless, objects are retrieved anew")


@group.check(
    "Connect endpoint",
    needs=["stripe_connect_accounts"],
    after=[webhook_endpoint],
    remedy=REACH_STRIPE,
)
async def connect_endpoint(site: Site) -> Finding:
    """Whether events of connected accounts come, where they are wanted."""
    if not site.settings.stripe_connect_accounts:
        return skipped("STRIPE_CONNECT_ACCOUNTS is empty: none is needed")
    found = await site.account.endpoints_at(webhook_url(site.settings))
    if not found.connect:
        if len(found.own) > 1:
            return warn(
                "Stripe does not tell whether one of the endpoints is for connected accounts",
                f"{SETUP_CONNECT}, and delete the one that was made by hand",
            )
        return fail("none", f"{SETUP_CONNECT}: it creates one")
    endpoint = found.connect[0]
    if not endpoint.enabled:
        return fail(f"{endpoint.id} is disabled: nothing is sent", SETUP_CONNECT)
    return _judged_events(endpoint, SETUP_CONNECT)


@group.check("undelivered events", after=[stripe_key], remedy=REACH_STRIPE)
async def undelivered_events(site: Site) -> Finding:
    """Whether Stripe failed to deliver lately."""
    until = site.now() - UNDER_WAY
    times = await site.account.undelivered(handled_events(), until - RECENT, until)
    if not times:
        return ok(f"none in {RECENT.days} days")
    count = f"{len(times)} or more" if len(times) == PAGE_SIZE else len(times)
    return warn(
        f"{count} in {RECENT.days} days, the latest at {times[0]:%Y-%m-%d %H:%M} UTC",
        "See what the endpoint answered: Dashboard, Developers, Webhooks. Reconciliation takes care"
        " of these, and Stripe resends them from there",
    )


@group.check(
    "webhook answers",
    needs=["public_url", "stripe_webhook_secrets"],
    remedy="Start the API, and see that PUBLIC_URL leads to it",
)
async def webhook_answers(site: Site) -> Finding:
    """Whether an event that is signed as Stripe signs comes through to the running API."""
    url = webhook_url(site.settings)
    body, headers = _signed_probe(site)
    try:
        async with httpx.AsyncClient(timeout=ANSWER_TIMEOUT_S) as http:
            answer = await http.post(url, content=body, headers=headers)
    except httpx.HTTPError as error:
        return fail(
            f"{url} cannot be reached: {str(error) or type(error).__name__}",
            "Start the API (python -m api), and see that PUBLIC_URL leads to it",
        )
    if answer.is_redirect:
        return fail(
            f"{url} redirects ({answer.status_code}) to {answer.headers.get('location')}",
            "Stripe counts a redirect as failure, use the final URL: set PUBLIC_URL to it,"
            f" then {SETUP[0].lower()}{SETUP[1:]}",
        )
    ours = _is_ours(answer)
    if answer.status_code == HTTPStatus.BAD_REQUEST and ours:
        return fail(
            "the running API refuses the first of STRIPE_WEBHOOK_SECRETS (400)",
            "The API runs with other secrets, or its clock is off: restart it with these settings",
        )
    if answer.is_success and ours:
        return ok("accepts what the first signing secret signs")
    return fail(
        f"{url} answers {answer.status_code}, not as this API does",
        "See that PUBLIC_URL leads to the API, and that any proxy passes POST /webhook on",
    )


async def _endpoint(site: Site) -> WebhookEndpoint:
    return (await site.account.endpoints_at(webhook_url(site.settings))).own[0]


def _judged_events(endpoint: WebhookEndpoint, setup: str) -> Finding:
    events = handled_events()
    missing, superfluous = endpoint.missing(events), endpoint.superfluous(events)
    if missing:
        return fail(f"{endpoint.id} does not send {', '.join(missing)}", f"{setup}: it adds them")
    if superfluous:
        what = "all events" if ALL_EVENTS in superfluous else ", ".join(superfluous)
        return warn(
            f"{endpoint.id} sends {what}, which nobody handles", f"{setup}: it narrows them"
        )
    return ok(f"the {len(events)} that are handled")


def _signed_probe(site: Site) -> tuple[bytes, dict[str, str]]:
    """An event as Stripe would send it, signed by the first secret.

    Source: Stripe's page "Verify webhook signatures manually".
    """
    now = int(site.now().timestamp())
    event = {
        "id": f"evt_doctor{uuid4().hex}",
        "object": "event",
        "api_version": API_VERSION,
        "created": now,
        "data": {"object": {"id": "doctor", "object": "doctor"}},
        "livemode": site.settings.livemode,
        "type": PROBE_TYPE,
    }
    body = json.dumps(event).encode()
    secret = site.settings.stripe_webhook_secrets[0].get_secret_value()
    signature = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return body, {
        "Content-Type": "application/json",
        "Stripe-Signature": f"t={now},v1={signature}",
    }


def _is_ours(answer: httpx.Response) -> bool:
    """Whether the answer has the form of the API's own, not that of a proxy or another site."""
    try:
        body = answer.json()
    except ValueError:
        return False
    return isinstance(body, dict) and ("received" in body or "error" in body)
