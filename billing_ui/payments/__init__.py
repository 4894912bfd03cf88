"""Talking to payment providers: one signature, a driver for each. Stateless, knows no database."""
