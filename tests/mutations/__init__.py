"""Wrong mathematics, and the fast test that notices each: `python -m tests.mutations`."""
