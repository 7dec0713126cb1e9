"""HTTP: Stripe's webhooks, the customer's landing page, the operator's view of orders."""
