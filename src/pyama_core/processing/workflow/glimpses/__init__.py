"""What is kept of the images of a field of view for who looks at it later: a few small pictures.

They are taken when work on a field of view ends, before stacks are released, so that a report shows
them whatever was kept. Like the results file they are a view: no record speaks of them, a run is as
whole without them, and they can be deleted at will. They count only if they were taken of the very
stacks that the record speaks of.
"""
