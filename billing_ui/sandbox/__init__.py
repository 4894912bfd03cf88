"""A stand-alone server that speaks Stripe's API, so that the real SDK works on a laptop without an account."""
