"""Paddle's way to speak of the shop."""
