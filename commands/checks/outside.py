"""Checks of the database, the mail server and the carrier."""

from contextlib import suppress
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import aiosmtplib

from adapters.carriers import open_carrier
from adapters.smtp_mailer import AUTHENTICATION_CODES, DEFAULT_PORTS
from commands.checks.registry import Finding, Group, Site, fail, ok, warn
from database.engine import Database
from database.revisions import is_behind, newest_revision

MIGRATE = "fulfillment migrate"

group = Group()


@group.check(
    "database",
    needs=["database_url"],
    remedy="Start PostgreSQL, or mend DATABASE_URL (address, user, password, name)",
)
async def database(site: Site) -> Finding:
    """Whether the database answers, with the schema that this code needs."""
    async with Database(site.settings.database_url.get_secret_value()) as opened:
        revision = await opened.revision()
    needed = newest_revision()
    if revision is None:
        return fail("not migrated: it has no tables of ours", f"Run `{MIGRATE}`")
    if is_behind(revision):
        return fail(f"at revision {revision}, this code needs {needed}", f"Run `{MIGRATE}`")
    return ok(f"at revision {revision}{'' if revision == needed else ', of a newer release'}")


@group.check("mail server", needs=["smtp_url"], remedy="Mend SMTP_URL")
async def mail_server(site: Site) -> Finding:
    """Whether the mail server lets us in; no mail is sent."""
    url = urlsplit(site.settings.smtp_url.get_secret_value())
    port = url.port or DEFAULT_PORTS[url.scheme]
    place = f"{url.hostname}:{port}"
    client = aiosmtplib.SMTP(
        hostname=url.hostname,
        port=port,
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        use_tls=url.scheme == "smtps",
        start_tls=url.scheme == "smtp+starttls",
    )
    try:
        await client.connect()  # says EHLO and, with a user name, logs in
        await client.noop()
    except aiosmtplib.SMTPResponseException as error:
        if error.code in AUTHENTICATION_CODES:
            return fail(
                f"{place} refuses to let us in ({error.code})", "Mend user and password in SMTP_URL"
            )
        return fail(f"{place} answers {error.code}", "Ask whoever runs the mail server")
    except (aiosmtplib.SMTPException, OSError) as error:
        return fail(
            f"{place} cannot be reached: {type(error).__name__}",
            "Start the mail server, or mend SMTP_URL: smtp://, smtp+starttls:// or smtps://",
        )
    finally:
        with suppress(aiosmtplib.SMTPException, OSError):
            await client.quit()
        client.close()
    return ok(f"{place}{', logged in' if url.username else ''}")


@group.check(
    "carrier",
    needs=["carrier_url", "carrier_api_key"],
    remedy="Start the carrier, or mend CARRIER_URL and CARRIER_API_KEY; docs/carrier.md says what "
    "it has to answer",
)
async def carrier(site: Site) -> Finding:
    """Whether the carrier can tell that it has not booked something, and may call us back."""
    settings = site.settings
    key = settings.carrier_api_key
    secret = key.get_secret_value() if key is not None else None
    async with open_carrier(settings.carrier, settings.carrier_url, secret) as opened:
        found = await opened.find(f"doctor-{uuid4().hex}")
    if found is not None:
        return fail(
            "finds a parcel for a reference that nobody has booked",
            "GET /shipments?reference= has to look for the reference: docs/carrier.md",
        )
    name = settings.carrier_url or settings.carrier
    if not settings.carrier_webhook_secrets:
        return warn(
            f"{name}; it cannot tell where parcels are, so nobody is mailed of it",
            f"Have it call {settings.public_url}/carrier/webhook, and set CARRIER_WEBHOOK_SECRETS",
        )
    return ok(name)
