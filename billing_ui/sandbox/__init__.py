"""A stand-alone server that speaks a payment provider's API: real clients work on a laptop without an account."""
