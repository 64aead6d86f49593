"""What the client can ask for, a module for each place of the page."""
