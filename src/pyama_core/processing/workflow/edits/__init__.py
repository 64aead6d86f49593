"""Corrections of a person: a log of actions beside the records, applied when results are read.

Nothing here changes a file of a run. The log (`log`) has a line per action (`actions`), undo and
redo among them (`history`). Each line describes the cells that it speaks of (`anchors`), so that
it finds them again after a re-run has numbered or outlined them anew. What the actions make of the
cells that a run found is worked out in one place (`resolve`), from which tables, label images and
the counts of what no longer has its cell follow.
"""
