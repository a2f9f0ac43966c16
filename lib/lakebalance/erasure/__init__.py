"""Takes rows out again, with all that came from them."""
