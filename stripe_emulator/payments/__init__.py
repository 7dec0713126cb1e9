"""Money moving: payment methods, intents, charges, refunds, disputes."""
