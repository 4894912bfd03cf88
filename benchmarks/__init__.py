"""How fast it is: one file a figure, each a ratio to a bare loop measured in the same run."""
