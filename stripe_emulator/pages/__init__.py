"""Pages for people: shop, Checkout, dashboard."""
