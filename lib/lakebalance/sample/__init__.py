"""Samplers: turn targets into rows. One a file; ``thresholds`` is the mechanism they share."""
