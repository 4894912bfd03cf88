"""Many customers at once, for tests and benchmarks: consistent, back-dated, and quick to make."""
