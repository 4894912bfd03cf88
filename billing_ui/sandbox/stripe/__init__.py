"""An imitation of Stripe: the API under /v1 and the hosted pages."""
