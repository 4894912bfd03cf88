"""Lemon Squeezy's dialect of the shop."""
