"""How the work of a run travels to other computers than this one."""
