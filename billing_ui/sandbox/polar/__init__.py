"""Polar's way to speak of the shop: its API, its events and their signatures."""
