"""Quality gates: Great Expectations says what is wrong with which row."""
