"""Which pixels belong to cells: a phase-contrast frame in, a mask out."""
