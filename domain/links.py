"""The URLs that customers get: where their order is, and signed ones that let them act on it.

A signed link is a bearer token for one purpose. Each purpose signs with a salt of its own, so
that a token of one cannot be used for another.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlencode

from itsdangerous import BadData, URLSafeSerializer
from pydantic import BaseModel, ConfigDict, ValidationError

from domain.ids import FulfillmentRef
from domain.orders import Question


class LinkInvalidError(Exception):
    """A link that we did not sign for this purpose."""


class LinkExpiredError(LinkInvalidError):
    """A link that was good once.

    Args:
        ref: What it was about.
    """

    def __init__(self, ref: FulfillmentRef) -> None:
        super().__init__("this link is over")
        self.ref = ref


class _Purpose(StrEnum):
    ORDER = "order"
    ANSWER = "answer"
    DOWNLOAD = "download"


class _Token(BaseModel):
    model_config = ConfigDict(frozen=True)

    session_id: str
    line_item_id: str
    kind: str
    expires: int | None = None
    """Seconds since 1970."""

    @property
    def ref(self) -> FulfillmentRef:
        """Which fulfillment it is about."""
        return FulfillmentRef(
            session_id=self.session_id, line_item_id=self.line_item_id, kind=self.kind
        )


_T = TypeVar("_T", bound=_Token)


class AnswerToken(_Token):
    """Lets its bearer answer a question about a fulfillment."""

    question: Question


class DownloadToken(_Token):
    """Lets its bearer download a file."""

    file: str


def order_query(session_id: str, account: str | None) -> str:
    """The query that names an order in our URLs, Stripe's placeholder left as it stands."""
    names_order = {"session_id": session_id, "account": account}
    return urlencode({name: value for name, value in names_order.items() if value}, safe="{}")


class Links:
    """Makes the URLs below our own address, and reads the signed ones again.

    Args:
        public_url: Where customers reach this service.
        secrets: The first one signs; links that any of them signed are good.
    """

    def __init__(self, public_url: str, secrets: Sequence[str]) -> None:
        self._public_url = public_url
        self._secrets = list(reversed(secrets))  # itsdangerous signs with the last one

    def order(self, session_id: str, account: str | None) -> str:
        """The order's landing page."""
        return f"{self._public_url}/after-checkout?{order_query(session_id, account)}"

    def own_order(self, session_id: str, account: str | None) -> str:
        """The order's landing page, which shows its bearer all of it at any time."""
        return f"{self.order(session_id, account)}&token={self.order_token(session_id)}"

    def order_token(self, session_id: str) -> str:
        """What shows its bearer all of one order."""
        return self._serializer(_Purpose.ORDER).dumps(session_id)

    def shows_order(self, token: str, session_id: str) -> bool:
        """Whether `order_token` made a token for this order."""
        try:
            return bool(self._serializer(_Purpose.ORDER).loads(token) == session_id)
        except BadData:
            return False

    def try_again(self, session_id: str, account: str | None) -> str:
        """Where a lost payment is made again."""
        return f"{self._public_url}/try-again?{order_query(session_id, account)}"

    def service_callback(self, call_id: str) -> str:
        """Where the merchant's own service says what became of a call."""
        return f"{self._public_url}/fulfillments/{call_id}"

    def answer(self, ref: FulfillmentRef, question: Question) -> str:
        """Where the customer answers a question; good for as long as it is asked."""
        token = AnswerToken(**ref.model_dump(), question=question)
        return f"{self._public_url}/answer?token={self._sign(_Purpose.ANSWER, token)}"

    def download(self, ref: FulfillmentRef, file: str, expires_at: datetime | None) -> str:
        """Where a file can be downloaded, until then."""
        expires = None if expires_at is None else int(expires_at.timestamp())
        token = DownloadToken(**ref.model_dump(), file=file, expires=expires)
        return f"{self._public_url}/downloads/{self._sign(_Purpose.DOWNLOAD, token)}"

    def read_answer(self, token: str) -> AnswerToken:
        """What `answer` signed.

        Raises:
            LinkInvalidError: We did not sign it for this.
        """
        return self._read(_Purpose.ANSWER, AnswerToken, token)

    def read_download(self, token: str) -> DownloadToken:
        """What `download` signed.

        Raises:
            LinkInvalidError: We did not sign it for this.
            LinkExpiredError: Its time is over.
        """
        return self._read(_Purpose.DOWNLOAD, DownloadToken, token)

    def _serializer(self, purpose: _Purpose) -> URLSafeSerializer:
        return URLSafeSerializer(self._secrets, salt=purpose.value)

    def _sign(self, purpose: _Purpose, token: _Token) -> str:
        return self._serializer(purpose).dumps(token.model_dump(exclude_none=True))

    def _read(self, purpose: _Purpose, kind: type[_T], token: str) -> _T:
        try:
            read = kind.model_validate(self._serializer(purpose).loads(token))
        except (BadData, ValidationError) as error:
            raise LinkInvalidError("we did not sign this link") from error
        if read.expires is not None and datetime.now(UTC).timestamp() > read.expires:
            raise LinkExpiredError(read.ref)
        return read
