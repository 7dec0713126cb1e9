"""Everything that `fulfillment doctor` checks, in the order in which it is shown."""

from commands.checks import outside, products, stripe_side, temporal, webhook

GROUPS = (
    stripe_side.group,
    webhook.group,
    temporal.group,
    outside.group,
    products.group,
)
