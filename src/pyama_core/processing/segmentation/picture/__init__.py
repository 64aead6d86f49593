"""What a channel shows, as far as a few of its frames tell, and which method segments that."""
