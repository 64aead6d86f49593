"""Runs on the computers of a cluster, started by its batch scheduler."""
