"""What the pages keep and do: thin handlers that authorise, call a use case and set variables."""
