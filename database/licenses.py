"""License keys: pools of free ones, those that were handed out, and where they are active."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Integer, Row, Text, and_, bindparam, cast, func, or_, select, update
from sqlalchemy.dialects.postgresql import INTERVAL, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from database.keys import is_fulfillment, naming
from database.tables import license_activations, license_keys
from domain.ids import FulfillmentRef
from domain.licenses import License, LicenseProblem, make_key, normal_form
from domain.orders import Deliverable, DeliverableType

MADE = "made"
"""The pool of keys that were made for an order; no imported one is called so."""

_FREE = and_(license_keys.c.session_id.is_(None), license_keys.c.disabled_at.is_(None))
_EXPIRES_AT = func.now() + cast(bindparam("new_duration", type_=Text), INTERVAL)
_IN_ORDER = (license_keys.c.shown, license_keys.c.expires_at)
_READ_ISSUED = (
    select(*_IN_ORDER)
    .where(is_fulfillment(license_keys), license_keys.c.reversed_at.is_(None))
    .order_by(license_keys.c.position)
)
_COUNT_FREE = select(func.count()).where(license_keys.c.pool == bindparam("ref_pool"), _FREE)
_PICKED = (
    select(license_keys.c.key)
    .where(license_keys.c.pool == bindparam("ref_pool"), _FREE)
    .limit(bindparam("wanted", type_=Integer))
    # Two orders at a time take different keys, and neither waits for the other.
    .with_for_update(skip_locked=True)
    .subquery()
)
_NUMBERED = select(_PICKED.c.key, func.row_number().over().label("position")).subquery()
_ISSUE = (
    update(license_keys)
    .where(license_keys.c.key == _NUMBERED.c.key)
    .values(
        session_id=bindparam("new_session_id"),
        line_item_id=bindparam("new_line_item_id"),
        kind=bindparam("new_kind"),
        position=_NUMBERED.c.position + bindparam("after_position", type_=Integer),
        activation_limit=bindparam("new_limit", type_=Integer),
        issued_at=func.now(),
        expires_at=_EXPIRES_AT,
    )
    .returning(license_keys.c.key)
)
_MAKE = insert(license_keys).values(issued_at=func.now(), expires_at=_EXPIRES_AT)
_IMPORT = insert(license_keys).on_conflict_do_nothing().returning(license_keys.c.key)
_KEY = bindparam("ref_key", type_=Text)
_INSTANCE = bindparam("ref_instance", type_=Text)
_READ = (
    select(
        or_(license_keys.c.disabled_at.is_not(None), license_keys.c.reversed_at.is_not(None)).label(
            "is_disabled"
        ),
        func.coalesce(license_keys.c.expires_at <= func.now(), False).label("is_expired"),
        license_keys.c.activation_limit,
        license_keys.c.expires_at,
    )
    .where(license_keys.c.key == _KEY, license_keys.c.session_id.is_not(None))
    .with_for_update()
)
_ACTIVE = select(license_activations.c.instance).where(
    license_activations.c.key == _KEY, license_activations.c.deactivated_at.is_(None)
)
_ACTIVATE = (
    insert(license_activations)
    .values(key=_KEY, instance=_INSTANCE)
    .on_conflict_do_update(
        index_elements=["key", "instance"],
        set_={"activated_at": func.now(), "deactivated_at": None},
    )
)
_DEACTIVATE = (
    update(license_activations)
    .where(
        license_activations.c.key == _KEY,
        license_activations.c.instance == _INSTANCE,
        license_activations.c.deactivated_at.is_(None),
    )
    .values(deactivated_at=func.now())
)
_DISABLE = (
    update(license_keys)
    .where(license_keys.c.key == _KEY, license_keys.c.session_id.is_not(None))
    .values(disabled_at=func.coalesce(license_keys.c.disabled_at, func.now()))
    .returning(license_keys.c.session_id)
)


_IN_USE = (
    select(func.count())
    .where(
        license_activations.c.key == license_keys.c.key,
        license_activations.c.deactivated_at.is_(None),
    )
    .scalar_subquery()
)
_REVERSIBLE = (
    select(license_keys.c.key)
    .where(is_fulfillment(license_keys))
    # Those that are in use are kept, and what was reversed before stays so where it can.
    .order_by(license_keys.c.reversed_at.is_not(None), _IN_USE.desc(), license_keys.c.position)
)
_REVERSE = (
    update(license_keys)
    .where(license_keys.c.key == _KEY, license_keys.c.reversed_at.is_(None))
    .values(reversed_at=func.now())
)
_GIVE_BACK = update(license_keys).where(license_keys.c.key == _KEY).values(reversed_at=None)
_COUNT_STANDING = select(func.count()).where(
    is_fulfillment(license_keys), license_keys.c.reversed_at.is_(None)
)
_LAST_POSITION = select(func.coalesce(func.max(license_keys.c.position), 0)).where(
    is_fulfillment(license_keys)
)


class PoolLevel(NamedTuple):
    """How many keys a pool has left, and has handed out."""

    pool: str
    free: int
    issued: int


async def import_keys(connection: AsyncConnection, pool: str, keys: Mapping[str, str]) -> int:
    """Adds keys, given by their normal form, to a pool; one that is known already stays as it is.

    Returns:
        How many are new.
    """
    rows = [{"key": key, "shown": shown, "pool": pool} for key, shown in sorted(keys.items())]
    return len((await connection.execute(_IMPORT, rows)).all()) if rows else 0


async def read_pools(connection: AsyncConnection) -> tuple[PoolLevel, ...]:
    """All imported pools, by name."""
    free = func.count().filter(_FREE)
    issued = func.count().filter(license_keys.c.session_id.is_not(None))
    rows = await connection.execute(
        select(license_keys.c.pool, free, issued)
        .where(license_keys.c.pool != MADE)
        .group_by(license_keys.c.pool)
        .order_by(license_keys.c.pool)
    )
    return tuple(PoolLevel(*row) for row in rows)


async def count_free(connection: AsyncConnection, pool: str) -> int:
    """How many keys a pool has left, those that another order is just taking included."""
    return (await connection.execute(_COUNT_FREE, {"ref_pool": pool})).scalar_one()


async def read_issued(connection: AsyncConnection, ref: FulfillmentRef) -> tuple[Deliverable, ...]:
    """The keys that were handed out for a fulfillment, and are not reversed."""
    rows = await connection.execute(_READ_ISSUED, naming(ref))
    return tuple(
        Deliverable(type=DeliverableType.KEY, value=row.shown, expires_at=row.expires_at)
        for row in rows
    )


async def issue_from_pool(
    connection: AsyncConnection,
    ref: FulfillmentRef,
    pool: str,
    quantity: int,
    *,
    activation_limit: int | None,
    duration: str | None,
) -> bool:
    """Hands out keys of a pool; lock the fulfillment first.

    Returns:
        Whether there were as many; if not, roll back what was taken.
    """
    issued = await connection.execute(
        _ISSUE,
        {
            "ref_pool": pool,
            "wanted": quantity,
            **_new(ref),
            "after_position": await _last_position(connection, ref),
            "new_limit": activation_limit,
            "new_duration": duration,
        },
    )
    return len(issued.all()) == quantity


async def make_keys(
    connection: AsyncConnection,
    ref: FulfillmentRef,
    form: str,
    quantity: int,
    *,
    activation_limit: int | None,
    duration: str | None,
) -> None:
    """Hands out keys that are made for it; lock the fulfillment first."""
    made = [make_key(form) for _ in range(quantity)]
    first = await _last_position(connection, ref) + 1
    await connection.execute(
        _MAKE,
        [
            {
                **ref.model_dump(),
                "key": normal_form(key),
                "shown": key,
                "pool": MADE,
                "position": position,
                "activation_limit": activation_limit,
                "new_duration": duration,
            }
            for position, key in enumerate(made, start=first)
        ],
    )


async def read_license(
    connection: AsyncConnection, key: str, instance: str | None = None
) -> License | None:
    """What a key is good for; locks it until the transaction ends.

    Args:
        connection: Within whose transaction.
        key: In its normal form.
        instance: The one that asks, if any.

    Returns:
        None for a key that was not handed out.
    """
    row = (await connection.execute(_READ, {_KEY.key: key})).one_or_none()
    if row is None:
        return None
    active = (await connection.execute(_ACTIVE, {_KEY.key: key})).scalars().all()
    return _license(row, active, instance)


async def activate(connection: AsyncConnection, key: str, instance: str) -> License | None:
    """Activates a key for an instance, within its limit; a second time changes nothing.

    Returns:
        What the key is good for now, and why it could not be activated; None for a key that was
        not handed out.
    """
    found = await read_license(connection, key, instance)
    if found is None or not found.valid or found.active:
        return found
    if found.activation_limit is not None and found.activations >= found.activation_limit:
        return found.model_copy(update={"valid": False, "problem": LicenseProblem.LIMIT_REACHED})
    await connection.execute(_ACTIVATE, {_KEY.key: key, _INSTANCE.key: instance})
    return found.model_copy(update={"active": True, "activations": found.activations + 1})


async def deactivate(connection: AsyncConnection, key: str, instance: str) -> License | None:
    """Frees an instance's place; a second time changes nothing."""
    if await read_license(connection, key) is None:
        return None
    await connection.execute(_DEACTIVATE, {_KEY.key: key, _INSTANCE.key: instance})
    return await read_license(connection, key, instance)


async def disable(connection: AsyncConnection, key: str) -> str | None:
    """Makes a key that was handed out good for nothing; once disabled it stays so.

    Returns:
        Which order's it is; None for a key that was not handed out.
    """
    row = (await connection.execute(_DISABLE, {_KEY.key: key})).one_or_none()
    return None if row is None else str(row.session_id)


async def count_standing(connection: AsyncConnection, ref: FulfillmentRef) -> int:
    """How many keys were handed out for a fulfillment and are not reversed."""
    return (await connection.execute(_COUNT_STANDING, naming(ref))).scalar_one()


async def reverse(connection: AsyncConnection, ref: FulfillmentRef, kept: int) -> int:
    """Leaves so many keys of a fulfillment good, and reverses the others; or gives them back.

    Lock the fulfillment first. One that an operator has disabled is the last to be reversed, since
    nobody has it in use.

    Returns:
        How many are missing: as many were not handed out yet.
    """
    keys = (await connection.execute(_REVERSIBLE, naming(ref))).scalars().all()
    for key in keys[:kept]:
        await connection.execute(_GIVE_BACK, {_KEY.key: key})
    for key in keys[kept:]:
        await connection.execute(_REVERSE, {_KEY.key: key})
    return max(kept - len(keys), 0)


async def _last_position(connection: AsyncConnection, ref: FulfillmentRef) -> int:
    last: int = (await connection.execute(_LAST_POSITION, naming(ref))).scalar_one()
    return last


def _new(ref: FulfillmentRef) -> dict[str, str]:
    return {f"new_{name}": value for name, value in ref.model_dump().items()}


def _license(row: Row[Any], active: Sequence[str], instance: str | None) -> License:
    problem = None
    if row.is_disabled:
        problem = LicenseProblem.DISABLED
    elif row.is_expired:
        problem = LicenseProblem.EXPIRED
    return License(
        valid=problem is None,
        problem=problem,
        active=instance in active,
        activations=len(active),
        activation_limit=row.activation_limit,
        expires_at=row.expires_at,
    )
