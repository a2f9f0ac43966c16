"""Allocators: pure functions from counts to targets. One rule a file; no Spark here."""
