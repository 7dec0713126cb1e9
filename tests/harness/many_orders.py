"""Two years of a busy merchant: as many orders as asked for, and all that belongs to them.

One order in a thousand is open, as in a shop where all is well; the rest has ended, and stays.
"""

import psycopg

_SETUP = """
CREATE TEMP TABLE sold AS
SELECT n,
    'cs_live_' || md5(n::text) AS session_id,
    now() - interval '730 days' * (1 - n::float8 / %(orders)s) AS at,
    CASE
        WHEN n %% 10000 < 6 THEN 'awaiting_payment'
        WHEN n %% 10000 < 7 THEN 'fulfilling'
        WHEN n %% 10000 < 9 THEN 'partially_fulfilled'
        WHEN n %% 10000 < 10 THEN 'action_required'
        WHEN n %% 100 = 99 THEN 'expired'
        WHEN n %% 100 = 98 THEN 'payment_failed'
        WHEN n %% 100 = 97 THEN 'reversed'
        WHEN n %% 1000 = 960 THEN 'ignored'
        WHEN n %% 1000 = 961 THEN 'unknown_session'
        ELSE 'fulfilled'
    END AS state
FROM generate_series(1, %(orders)s) n
"""
_PLANNED = """
CREATE TEMP TABLE planned AS
SELECT n, session_id, at, 'li_' || md5(n || kind) AS line_item_id, kind, ordinality AS position,
    CASE
        WHEN state IN ('fulfilled', 'reversed', 'action_required') THEN state
        WHEN state = 'partially_fulfilled' AND kind = 'access' THEN 'fulfilled'
        WHEN state = 'partially_fulfilled' THEN 'backordered'
        ELSE 'pending'
    END AS state
FROM sold, LATERAL unnest(
    CASE n % 4
        WHEN 0 THEN ARRAY['access']
        WHEN 1 THEN ARRAY['shipment']
        WHEN 2 THEN ARRAY['access', 'shipment']
        ELSE ARRAY[CASE WHEN n % 8 = 3 THEN 'license_key' ELSE 'download' END]
    END
) WITH ORDINALITY AS kinds (kind, ordinality)
WHERE state NOT IN ('ignored', 'unknown_session', 'expired', 'payment_failed')
"""
_FILLED = (
    """
    INSERT INTO orders (session_id, state, error, error_step, account, livemode, mode,
        payment_status, payment_intent_id, subscription_id, payment_method, payment_method_types,
        currency, amount_subtotal_minor, amount_tax_minor, amount_shipping_minor,
        amount_discount_minor, amount_total_minor, customer_id, customer_email, customer_name,
        collected, custom_fields, locale, shipping_address, client_reference_id, stripe_metadata,
        checkout_created_at, created_at, updated_at, closed_at, on_hold)
    SELECT session_id, state, CASE WHEN n % 100000 = 9 THEN 'stuck' END,
        CASE WHEN n % 100000 = 9 THEN 'receipt' END,
        CASE WHEN n % 20 = 0 THEN 'acct_' || n % 7 END, true, 'payment',
        CASE WHEN state IN ('awaiting_payment', 'expired', 'payment_failed') THEN 'unpaid'
            ELSE 'paid' END,
        'pi_' || md5(n || 'pi'), CASE WHEN n % 50 = 0 THEN 'sub_' || md5(n::text) END,
        '{"type": "card", "brand": "visa", "last4": "4242"}', '["card"]',
        'usd', 1999, 0, 0, 0, 1999, CASE WHEN n % 2 = 0 THEN 'cus_' || md5((n % 300000)::text) END,
        'Customer' || n % 300000 || '@example.com', 'Jo Doe',
        '{"phone": "+15551234567", "billing_address": {"country": "US", "city": "Springfield"}}',
        '[]', 'en', CASE WHEN n % 4 IN (1, 2) THEN
            '{"name": "Jo Doe", "line1": "1 Main Street", "country": "US"}'::jsonb END,
        CASE WHEN n % 3 = 0 THEN 'cart-' || n END, '{"campaign": "spring"}',
        at, at + interval '1 minute',
        CASE WHEN n % 10000 < 10 THEN now() ELSE at + interval '2 minutes' END,
        CASE WHEN n % 10000 >= 10 THEN at + interval '2 minutes' END, n % 50000 = 7
    FROM sold
    """,
    """
    INSERT INTO line_items (session_id, line_item_id, position, description, quantity,
        amount_subtotal_minor, amount_total_minor, currency, price_id, product_id)
    SELECT session_id, line_item_id, position, 'A thing', 1, 1999, 1999, 'usd', 'price_1', 'prod_1'
    FROM planned
    """,
    """
    INSERT INTO fulfillments (session_id, line_item_id, kind, state, parameters, delivered,
        reversed, taken_back, fulfilled_at, created_at, updated_at)
    SELECT session_id, line_item_id, kind, state, '{"feature": "course", "url": "https://x"}',
        '[{"type": "link", "value": "https://learn.example.com/course"}]',
        (state = 'reversed')::int, (state = 'reversed' AND n % 10000 <> 97)::int,
        CASE WHEN state IN ('fulfilled', 'reversed') THEN at END, at,
        CASE WHEN state IN ('fulfilled', 'reversed') THEN at ELSE now() END
    FROM planned
    """,
    """
    INSERT INTO entitlements (session_id, line_item_id, kind, id, feature, url, quantity,
        customer_id, customer_email, client_reference_id, starts_at, expires_at, checked_at,
        created_at)
    SELECT session_id, line_item_id, kind, 'ent_' || md5(n::text), 'course', 'https://x', 1,
        CASE WHEN n % 2 = 0 THEN 'cus_' || md5((n % 300000)::text) END,
        'Customer' || n % 300000 || '@example.com', CASE WHEN n % 3 = 0 THEN 'cart-' || n END,
        at, CASE WHEN n % 2 = 0 THEN at + interval '1 month' END, at, at
    FROM planned WHERE kind = 'access' AND state IN ('fulfilled', 'reversed')
    """,
    """
    INSERT INTO license_keys (key, shown, pool, session_id, line_item_id, kind, position, issued_at)
    SELECT md5(n || 'key'), md5(n || 'key'), CASE WHEN n % 16 = 3 THEN 'editor' ELSE 'made' END,
        session_id, line_item_id, kind, 1, at
    FROM planned WHERE kind = 'license_key'
    """,
    """
    INSERT INTO license_keys (key, shown, pool)
    SELECT md5(n || 'free'), md5(n || 'free'), 'editor' FROM sold WHERE n % 100 = 0
    """,
    """
    INSERT INTO license_activations (key, instance, activated_at)
    SELECT key, 'machine', issued_at FROM license_keys WHERE session_id IS NOT NULL
    """,
    """
    INSERT INTO downloads (session_id, line_item_id, kind, file, allowed, count, expires_at)
    SELECT session_id, line_item_id, kind, 'album.zip', 5, 1, at + interval '30 days'
    FROM planned WHERE kind = 'download'
    """,
    """
    INSERT INTO access_log (session_id, line_item_id, kind, event, subject, ip, user_agent, at)
    SELECT session_id, line_item_id, kind,
        CASE kind WHEN 'access' THEN 'access_checked' ELSE 'downloaded' END, 'course',
        '203.0.113.1', 'Mozilla/5.0', at + interval '1 day' * use
    FROM planned, generate_series(1, 4) use WHERE kind IN ('access', 'download')
    """,
    """
    INSERT INTO service_calls (session_id, line_item_id, kind, id, status)
    SELECT session_id, line_item_id, kind, 'ful_' || md5(n::text), 'fulfilled'
    FROM planned WHERE kind = 'access' AND n % 40 = 0
    """,
    """
    INSERT INTO questions (session_id, line_item_id, kind, name, answer, answered_by, answered_at)
    SELECT session_id, line_item_id, kind, 'address', 'same', 'customer', at
    FROM planned WHERE kind = 'shipment' AND n % 100 = 1
    """,
    """
    INSERT INTO skus (sku, low_at) SELECT 'SKU-' || s, 5 FROM generate_series(0, 499) s
    """,
    """
    INSERT INTO stock (sku, warehouse, on_hand) SELECT sku, 'main', 100 FROM skus
    """,
    """
    INSERT INTO shipments (session_id, line_item_id, kind, sku, quantity, weight_grams,
        stock_taken, parts, created_at)
    SELECT session_id, line_item_id, kind, 'SKU-' || n % 500, 1, 350, true,
        jsonb_build_object('SKU-' || n % 500, 1), at
    FROM planned WHERE kind = 'shipment' AND state IN ('fulfilled', 'reversed')
    """,
    """
    INSERT INTO parcels (session_id, line_item_id, kind, number, reference, warehouse, items,
        status, status_at, carrier_shipment_id, carrier, label_url, tracking_number, tracking_url,
        created_at)
    SELECT session_id, line_item_id, kind, 1, session_id || ':' || line_item_id || ':1', 'main',
        jsonb_build_array(jsonb_build_object('sku', sku, 'quantity', 1)), 'delivered', now(),
        'shp_' || md5(session_id), 'Local Parcel', 'https://label', 'LP' || md5(session_id),
        'https://track', created_at
    FROM shipments
    """,
    """
    INSERT INTO tracking_events (id, reference, status, message, at, told_at, created_at)
    SELECT md5(reference || event), reference, event, 'On its way', created_at, created_at,
        created_at
    FROM parcels, unnest(ARRAY['in_transit', 'out_for_delivery', 'delivered']) event
    """,
    """
    INSERT INTO returns (id, session_id, line_item_id, kind, sku, warehouse, quantity, state)
    SELECT 'ret_' || md5(session_id), session_id, line_item_id, kind, sku, 'main', 1, 'received'
    FROM shipments WHERE quantity = 1 AND md5(session_id) < '03'
    """,
    """
    INSERT INTO stock_movements (sku, warehouse, quantity, reason, session_id, line_item_id, kind,
        created_at)
    SELECT sku, 'main', -1, 'taken', session_id, line_item_id, kind, created_at FROM shipments
    """,
    """
    INSERT INTO stock_reservations (session_id, line_item_id, kind, sku, warehouse, quantity,
        state, expires_at)
    SELECT session_id, line_item_id, kind, 'SKU-1', 'main', 1,
        CASE WHEN n % 10000 < 6 THEN 'held' ELSE 'used' END, now() + interval '10 days'
    FROM planned WHERE kind = 'shipment' AND (n % 40 = 1 OR n % 10000 < 6)
    """,
    """
    INSERT INTO backorders (session_id, line_item_id, kind, sku, quantity)
    SELECT session_id, line_item_id, kind, 'SKU-none', 1 FROM planned WHERE state = 'backordered'
    """,
    """
    INSERT INTO reversals (id, session_id, cause, status, counts, amount_minor, currency, lines,
        problem, created_at)
    SELECT 're_' || md5(n::text), session_id, 'refund', 'succeeded', true, 1999, 'usd', '{}',
        CASE WHEN n % 10000 = 197 THEN 'which pieces?' END, at
    FROM sold WHERE state = 'reversed'
    """,
    """
    INSERT INTO refund_requests (id, session_id, state, lines, amount_minor, currency, by, note)
    SELECT 'rfr_' || md5(n::text), session_id, 'made', '{}', 1999, 'usd', 'ops', ''
    FROM sold WHERE state = 'reversed'
    """,
    """
    INSERT INTO audit (session_id, act, by, detail, created_at)
    SELECT session_id, 'reversed', 'ops', 'as agreed', at FROM sold WHERE n % 4 = 0
    """,
    """
    INSERT INTO alerts (session_id, step, cause, detail, created_at, mailed_at)
    SELECT session_id, '', 'overdue', 'late', at, at FROM sold WHERE n % 100 = 0 OR n % 10000 < 10
    """,
    """
    INSERT INTO emails (session_id, name, key, recipient, message_id, created_at, sent_at,
        bounced_at)
    SELECT session_id, name, '', 'Customer' || n % 300000 || '@example.com',
        md5(n || name) || '@shop', at, at, CASE WHEN n % 1000 = 1 THEN at END
    FROM sold, unnest(CASE WHEN n % 4 IN (1, 2) THEN ARRAY['receipt', 'parcel_shipped']
        ELSE ARRAY['receipt'] END) name
    WHERE state IN ('fulfilled', 'reversed')
    """,
    """
    INSERT INTO messages (id, type, session_id, data, state, created_at)
    SELECT 'msg_' || md5(n::text), 'entitlement.granted', session_id, '{"feature": "course"}',
        CASE WHEN n % 1000 = 2 THEN 'failed' ELSE 'delivered' END, at
    FROM planned WHERE kind = 'access'
    """,
    """
    INSERT INTO message_attempts (message_id, number, at, duration_ms, status_code)
    SELECT id, 1, created_at, 20, 200 FROM messages
    """,
)


def fill(database_url: str, orders: int) -> None:
    """Adds so many orders to a migrated database that has none, and gathers its statistics."""
    with psycopg.connect(database_url) as connection:
        # References are right by construction; looking them up takes most of the time.
        connection.execute("SET session_replication_role = replica")
        connection.execute(_SETUP, {"orders": orders})
        connection.execute(_PLANNED)
        for statement in _FILLED:
            connection.execute(statement)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
