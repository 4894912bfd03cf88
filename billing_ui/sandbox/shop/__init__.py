"""A shop that no provider's API is part of: what Polar's, Lemon Squeezy's and Paddle's sandboxes share."""
