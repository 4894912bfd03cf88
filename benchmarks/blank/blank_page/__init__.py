"""A blank Reflex application with the Radix theme."""
