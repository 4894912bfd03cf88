"""What the `billing-ui` command can do: one file a command, or a group of them."""
