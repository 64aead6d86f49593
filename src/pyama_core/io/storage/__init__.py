"""What a run writes: records, locks, stacks and tables, each whole or not there."""
