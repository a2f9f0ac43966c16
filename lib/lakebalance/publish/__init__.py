"""Publishing: one Delta transaction, and the tables that remember it."""
