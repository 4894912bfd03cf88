"""What the hosted pages of all providers are made of."""
