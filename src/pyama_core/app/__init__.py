"""The page in the browser: a server on the loopback that shows what the rest of the package knows.

Handlers are thin: they call the same functions as the command and `open_results`, and compute
nothing of their own but slices of stacks. What the client sees is typed (`routes`), and its types
are generated from these (`client_types`).
"""
