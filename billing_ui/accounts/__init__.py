"""Who may do what: people, sessions, teams and roles. Knows nothing of billing."""
