"""The results of a run as one thing that opens: tables, images, samples and corrections.

Nothing here changes a file of a run. What is read is only what the records prove.
"""
