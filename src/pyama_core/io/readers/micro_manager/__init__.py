"""Image stacks and metadata files of Micro-Manager."""
