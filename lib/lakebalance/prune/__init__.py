"""Pruning: takes redundant rows out and writes down each match. One method a file."""
