"""The commands and their options: light, for what a command does is imported when it does it."""
