"""Tokens: the same while they may be, never stale, and verified by published keys alone."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import jwt
import pytest

from domain.entitlement_tokens import EntitlementTokens, tag
from domain.entitlements import CustomerKey, CustomerName, Entitlement

OLD, NEW = "an-old-secret-of-thirty-two-letters", "a-new-secret-of-thirty-two-letters!"
JO = CustomerKey(name=CustomerName.EMAIL, value="jo@example.com")
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
COURSE = Entitlement(
    id="ent_1",
    session_id="cs_test_1",
    feature="course",
    url="https://learn.example.com",
    quantity=3,
    customer_id=None,
    customer_email="jo@example.com",
    client_reference_id=None,
    starts_at=START,
    expires_at=None,
    revoked_at=None,
    revoked_because=None,
)


def verified(token: str, tokens: EntitlementTokens) -> dict[str, object]:
    keys = jwt.PyJWKSet.from_dict(tokens.jwks)
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, object] = jwt.decode(
        token, key, algorithms=["EdDSA"], options={"verify_exp": False}
    )
    return claims


def test_a_token_says_who_may_use_what_until_when() -> None:
    tokens = EntitlementTokens("https://shop.example", [NEW])
    claims = verified(tokens.sign(tokens.claims(JO, [COURSE], START)), tokens)
    assert claims["iss"] == "https://shop.example"
    assert claims["sub"] == "email:jo@example.com"
    assert claims["exp"] == START.timestamp() + 600
    assert claims["entitlements"] == [
        {
            "id": "ent_1",
            "feature": "course",
            "quantity": 3,
            "starts_at": "2026-03-01T12:00:00Z",
            "expires_at": None,
        }
    ]


def test_answers_with_one_tag_carry_one_token_that_is_good_for_five_minutes_more() -> None:
    tokens = EntitlementTokens("https://shop.example", [NEW])
    times = [START + timedelta(seconds=second) for second in range(1200)]
    made = {at: tokens.claims(JO, [COURSE], at) for at in times}
    for at, claims in made.items():
        assert timedelta(minutes=5) < datetime.fromtimestamp(claims.exp, UTC) - at
        assert claims.iat <= at.timestamp()
    for one, other in pairwise(made.values()):
        assert (tag(one) == tag(other)) is (tokens.sign(one) == tokens.sign(other))
    assert len({tag(claims) for claims in made.values()}) == 4


def test_the_tag_follows_the_content_and_not_the_key() -> None:
    before, after = EntitlementTokens("iss", [OLD]), EntitlementTokens("iss", [NEW, OLD])
    claims = before.claims(JO, [COURSE], START)
    assert tag(after.claims(JO, [COURSE], START)) == tag(claims)
    assert after.sign(claims) != before.sign(claims)
    more = COURSE.model_copy(update={"quantity": 4})
    assert tag(after.claims(JO, [more], START)) != tag(claims)


def test_older_keys_verify_and_those_taken_out_do_not() -> None:
    before = EntitlementTokens("iss", [OLD])
    token = before.sign(before.claims(JO, [COURSE], START))
    assert verified(token, EntitlementTokens("iss", [NEW, OLD]))["sub"] == "email:jo@example.com"
    with pytest.raises(KeyError):
        verified(token, EntitlementTokens("iss", [NEW]))


def test_the_keys_are_public_and_tell_no_secret() -> None:
    jwks = EntitlementTokens("iss", [NEW, OLD]).jwks
    assert len(jwks["keys"]) == 2
    for key in jwks["keys"]:
        assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
