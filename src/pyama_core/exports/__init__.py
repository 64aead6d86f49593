"""Results in the forms of other programs.

A form is a row of `forms` and a module that writes it, which alone imports what the form needs.
What a module writes comes through a `Selection`, the one place where samples, corrections and
verdicts are applied; where it lands, whole or not at all, is up to `destination`.
"""
