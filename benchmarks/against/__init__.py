"""What users would pick instead, timed on the same frames, on one core, in one run.

`python -m benchmarks --against` writes `docs/SPEED.md`. Each program has a process of its own,
so that none is disturbed by the libraries of another; all are tied to the same core and called in
turn. What counts is time of the processor, which other programs on the machine disturb the least.
"""
