"""What a run read and made, as OpenLineage events for the tools that follow data."""
