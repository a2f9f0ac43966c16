"""What the columns of tables say: statistics, keys, dependencies, and what holds between tables."""
