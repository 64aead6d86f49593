"""Folders of single images."""
