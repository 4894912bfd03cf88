"""The use cases: portal, checkout, customers, sync, visits, summary. Knows no screen and no HTTP."""
