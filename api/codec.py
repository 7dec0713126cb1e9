"""`POST /codec/decode`: lets the Temporal Web UI and CLI show operators what is encrypted.

The Web UI's codec endpoint is `PUBLIC_URL/codec/TEMPORAL_CODEC_TOKEN`; the CLI's is
`PUBLIC_URL/codec`, with `--codec-auth "Bearer …"`.

Source: Temporal's documentation, "Codec Server".
"""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from api.bodies import read_body
from api.services import ServicesOf
from domain.errors import InvalidWebhookError

router = APIRouter(tags=["Codec"])
_bearer = HTTPBearer(auto_error=False, description="TEMPORAL_CODEC_TOKEN")
PATH = "/codec"
MAX_PAYLOADS_BYTES = 16 * 1024 * 1024
"""The Web UI asks for a page of a history at once, whose payloads may have 2 MB each."""


def _require_token(
    request: Request,
    services: ServicesOf,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """Lets only those pass who know the token, by the path or as a bearer."""
    bearer = credentials.credentials if credentials else ""
    given = str(request.path_params.get("token", bearer))
    wanted = services.codec_token or ""
    if not wanted or not secrets.compare_digest(given.encode(), wanted.encode()):
        raise HTTPException(401, "codec token needed", {"WWW-Authenticate": "Bearer"})


_route: Any = {
    "dependencies": [Depends(_require_token)],
    "responses": {
        400: {"description": "These are no payloads, or none that our keys have encrypted"}
    },
    "max_body_size": MAX_PAYLOADS_BYTES,
}


@router.post(f"{PATH}/decode", **_route)
@router.post(f"{PATH}/{{token}}/decode", **_route)
async def decode(request: Request, services: ServicesOf) -> Response:
    """Decrypts payloads; those that are not encrypted come back as they are."""
    payloads = await _read(request)
    try:
        return _answer(await services.codec.decode(payloads.payloads))
    except ValueError as error:
        raise HTTPException(400, str(error)) from error


@router.post(f"{PATH}/encode", **_route)
@router.post(f"{PATH}/{{token}}/encode", **_route)
async def encode(request: Request, services: ServicesOf) -> Response:
    """Encrypts what an operator types in."""
    payloads = await _read(request)
    return _answer(await services.codec.encode(payloads.payloads))


async def _read(request: Request) -> Payloads:
    try:
        return json_format.Parse(await read_body(request), Payloads())
    except (InvalidWebhookError, json_format.ParseError, UnicodeDecodeError) as error:
        raise HTTPException(400, "the body holds no payloads") from error


def _answer(payloads: list[Payload]) -> Response:
    body = json_format.MessageToJson(Payloads(payloads=payloads))
    # What is decrypted here is for one pair of eyes.
    headers = {"Cache-Control": "no-store"}
    return Response(body, media_type="application/json", headers=headers)
