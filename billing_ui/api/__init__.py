"""The HTTP API: thin routes that authorise, call a use case and answer. Knows no screen."""
