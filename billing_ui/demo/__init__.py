"""The demo: teams and people of the sandbox, and two years of billing behind them."""
