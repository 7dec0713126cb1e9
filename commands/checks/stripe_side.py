"""Checks of the Stripe key and of the clock that webhooks are verified by."""

from datetime import timedelta

from adapters.stripe_account import KeyRefusedError
from adapters.stripe_webhook import TOLERANCE_S
from commands.addresses import is_private, uses_stand_in
from commands.checks.registry import Finding, Group, Site, fail, ok, warn
from domain.ids import ALL_ACCOUNTS

MAX_SKEW = timedelta(seconds=30)
REACH_STRIPE = "See that this machine reaches STRIPE_API_BASE, and https://status.stripe.com"

group = Group()


@group.check(
    "Stripe key",
    needs=["stripe_api_key", "stripe_api_base", "stripe_connect_accounts"],
    remedy=REACH_STRIPE,
)
async def stripe_key(site: Site) -> Finding:
    """Whether Stripe accepts the key, for all that the worker reads."""
    all_accounts = ALL_ACCOUNTS in site.settings.stripe_connect_accounts
    try:
        missing = await site.account.missing_permissions(all_accounts=all_accounts)
    except KeyRefusedError as error:
        return fail(
            error.message,
            "Put a key of this account into STRIPE_API_KEY: Dashboard, Developers, API keys",
        )
    if missing:
        return fail(
            f"the key lacks: {', '.join(missing)} (403)",
            f"Grant the restricted key {', '.join(missing)}: Dashboard, Developers, API keys",
        )
    restricted = site.settings.stripe_api_key.get_secret_value().startswith("rk_")
    return ok(f"{'restricted' if restricted else 'secret'} key, accepted")


@group.check("Stripe mode", needs=["stripe_api_key", "stripe_api_base", "public_url"], remedy="")
async def stripe_mode(site: Site) -> Finding:
    """Whether the key's mode and PUBLIC_URL go together."""
    settings = site.settings
    if settings.livemode:
        if is_private(settings.public_url):
            return fail(
                "live: real money, yet PUBLIC_URL is an address that no customer reaches",
                "Set PUBLIC_URL to the public https:// address, or use a test key",
            )
        return ok("live: real money")
    if uses_stand_in(settings):
        return ok(f"test, at the stand-in {settings.stripe_api_base}")
    if settings.public_url.startswith("http:") and not is_private(settings.public_url):
        return warn(
            "test; PUBLIC_URL is plain http: anybody on the way reads the links to orders",
            "Serve PUBLIC_URL by https://",
        )
    return ok("test: live payments are not fulfilled here")


@group.check("clock", after=[stripe_key], remedy=REACH_STRIPE)
async def clock(site: Site) -> Finding:
    """Whether webhook signatures look fresh to this machine."""
    before = site.now()
    theirs = await site.account.server_time()
    ahead = before + (site.now() - before) / 2 - theirs
    seconds = round(abs(ahead.total_seconds()))
    found = f"{seconds} s {'ahead of' if ahead > timedelta() else 'behind'} Stripe's"
    remedy = "Let NTP set this machine's clock (timedatectl set-ntp true)"
    if ahead > timedelta(seconds=TOLERANCE_S):
        return fail(f"{found}: every webhook is refused as older than {TOLERANCE_S} s", remedy)
    if abs(ahead) > MAX_SKEW:
        return warn(f"{found}; signatures hold for {TOLERANCE_S} s", remedy)
    return ok("agrees with Stripe's" if seconds <= 1 else found)
