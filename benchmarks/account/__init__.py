"""How well cells of each kind are found: measured, held by bounds, and told in docs/ACCURACY.md."""
