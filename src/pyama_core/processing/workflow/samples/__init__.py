"""Which positions belong to which sample: a table beside the records, no parameter of a step."""
