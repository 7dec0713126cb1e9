"""The API over HTTP: keys, faults, idempotency, and from the URL to the operation.

See "Authentication", "Connected Accounts" and "Request IDs" in Stripe's API reference.
"""

import asyncio
import base64
import binascii
import hashlib
import json
from http import HTTPStatus
from operator import itemgetter
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from .addresses import base_url
from .compatibility import translate
from .config import API_VERSION
from .emulator import Emulator
from .errors import StripeError, unauthorized
from .events import Cause, current_cause
from .expand import render, require_depth
from .faults import Hit
from .forms import decode, decode_json
from .ids import new_id
from .operations import Call, Operation, match
from .params import check, shape_of
from .store import PLATFORM_ACCOUNT

MAX_BODY_BYTES: Final = 1_000_000
_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_SHOWN_LENGTH: Final = 12
_PUBLISHABLE_KEY: Final = (
    "This API call cannot be made with a publishable API key. Please use a secret API key. You"
    " can find a list of your API keys at https://dashboard.stripe.com/account/apikeys."
)
_NO_KEY: Final = (
    "You did not provide an API key. You need to provide your API key in the Authorization"
    " header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See"
    " https://stripe.com/docs/api#authentication for details, or we can help at"
    " https://support.stripe.com/."
)


class Api:
    """Answers requests under /v1 and /v2."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        cause = Cause(id=new_id("req", 14), idempotency_key=request.headers.get("idempotency-key"))
        headers = {"Request-Id": str(cause["id"]), "Stripe-Version": API_VERSION}
        hit = Hit()
        try:
            self._authenticate(request)
            hit = self._emulator.faults.take(request.method, request.url.path)
            status, body, replayed = await self._answer(request, cause, hit)
        except StripeError as error:
            status, body, replayed = error.status, _error_body(error, cause), False
        if cause["idempotency_key"]:
            headers["Idempotency-Key"] = cause["idempotency_key"]
        if replayed:
            headers["Idempotent-Replayed"] = "true"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            headers["Retry-After"] = "1"
        if status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = 'Bearer realm="Stripe"'
        response = Response(body, status, headers, "application/json")
        response.headers.update(hit.headers)
        return response

    def _authenticate(self, request: Request) -> None:
        key = _key_of(request.headers.get("authorization", ""))
        if not key:
            raise unauthorized(_NO_KEY)
        expected = self._emulator.config.api_key
        if key.startswith("pk_"):
            raise StripeError(
                _PUBLISHABLE_KEY, status=HTTPStatus.UNAUTHORIZED, code="secret_key_required"
            )
        if "_live_" in key:
            raise unauthorized("This is a local stand-in for Stripe: it takes test keys only.")
        if (key != expected) if expected else not key.startswith(("sk_test_", "rk_test_")):
            raise unauthorized(f"Invalid API Key provided: {_masked(key)}")

    async def _answer(self, request: Request, cause: Cause, hit: Hit) -> tuple[int, bytes, bool]:
        """Status, body, and whether it is the answer to an earlier request."""
        raw = await _raw_parameters(request)
        found = match(request.method, request.url.path)
        if found is None:
            await asyncio.sleep(hit.delay_ms / 1000)
            raise _unrecognized(request)
        account_id = _account_of(request)
        key = cause["idempotency_key"] if request.method == "POST" else None
        if key is not None:
            kept = self._emulator.idempotency.begin(
                account_id, key, request.url.path, _fingerprint(raw)
            )
            if kept is not None:
                return *kept, True
        executed = False
        try:
            call = self._call(request, found, raw, account_id)
            if hit.delay_ms:
                await asyncio.sleep(hit.delay_ms / 1000)
            if hit.error is not None:
                raise hit.error
            executed = True
            answer = self._execute(found[0], call, cause, _indent(request))
        finally:
            if key is not None and not executed:
                self._emulator.idempotency.release(account_id, key)
        if key is not None:
            self._emulator.idempotency.finish(account_id, key, *answer)
        return *answer, False

    def _call(
        self,
        request: Request,
        found: tuple[Operation, dict[str, str]],
        raw: str,
        account_id: str,
    ) -> Call:
        operation, path = found
        shape = operation.shape if operation.shape is not None else shape_of(operation.name)
        if request.method == "POST" and _is_v2(request):
            tree = decode_json(raw)
        else:
            version = request.headers.get("stripe-version")
            tree = translate(decode(raw), request.url.path, version)
        params = check(shape, tree)
        require_depth(params.get("expand", []))
        return Call(
            emulator=self._emulator,
            account=self._emulator.account(account_id),
            params=params,
            path=path,
            base_url=base_url(self._emulator.config, request),
        )

    def _execute(
        self, operation: Operation, call: Call, cause: Cause, indent: int | None
    ) -> tuple[int, bytes]:
        token = current_cause.set(cause)
        try:
            result = operation.handler(call)
            # Lists are rendered already; those of v2 do not even say what they are.
            if result.get("object", "list") != "list":
                result = render(call.account, result, call.params.get("expand"))
            return HTTPStatus.OK, json.dumps(result, indent=indent).encode()
        except StripeError as error:
            return error.status, _error_body(error, cause)
        finally:
            current_cause.reset(token)


def _is_v2(request: Request) -> bool:
    return request.url.path.startswith("/v2/")


def _account_of(request: Request) -> str:
    """The account that the request is about; the last part of a `Stripe-Context`."""
    context = request.headers.get("stripe-context", "").rpartition("/")[2]
    return request.headers.get("stripe-account") or context or PLATFORM_ACCOUNT


def _indent(request: Request) -> int | None:
    """People read what curl and the CLI print; for the SDKs' sake answers are quick."""
    return None if "Bindings/" in request.headers.get("user-agent", "") else 2


def _masked(key: str) -> str:
    """The key as errors show it: enough to know which one was meant."""
    if len(key) <= _SHOWN_LENGTH:
        return "*" * len(key)
    return f"{key[:8]}{'*' * (len(key) - _SHOWN_LENGTH)}{key[-4:]}"


def _fingerprint(raw: str) -> str:
    """The same for the same parameters, in whatever order they are sent.

    The sort is stable, so that equal names, as in `items[][price]`, keep their order.
    """
    pairs = sorted(parse_qsl(raw, keep_blank_values=True), key=itemgetter(0))
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


async def _raw_parameters(request: Request) -> str:
    if request.method != "POST":
        return request.url.query
    wanted = _JSON if _is_v2(request) else _FORM
    kind = request.headers.get("content-type", wanted).partition(";")[0]
    if kind != wanted and request.headers.get("content-length", "0") != "0":
        raise StripeError(
            f"Invalid request (check that your POST content type is {wanted}). If you have"
            " questions, we can help at https://support.stripe.com/."
        )
    length = 0
    chunks = []
    async for chunk in request.stream():
        length += len(chunk)
        if length > MAX_BODY_BYTES:
            raise StripeError("The request body is too large.", status=413)
        chunks.append(chunk)
    try:
        return b"".join(chunks).decode()
    except UnicodeDecodeError as error:
        raise StripeError("Invalid UTF-8 in the request body.") from error


def _key_of(authorization: str) -> str:
    """The key in a Bearer header, or the user of a Basic one (`curl -u sk_test_…:`)."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _unrecognized(request: Request) -> StripeError:
    return StripeError(
        f"Unrecognized request URL ({request.method}: {request.url.path}). Please see"
        " https://stripe.com/docs or we can help at https://support.stripe.com/.",
        status=HTTPStatus.NOT_FOUND,
    )


def _error_body(error: StripeError, cause: Cause) -> bytes:
    members: dict[str, Any] = {
        **error.error,
        "request_log_url": f"https://dashboard.stripe.com/test/logs/{cause['id']}",
    }
    return json.dumps({"error": members}).encode()
