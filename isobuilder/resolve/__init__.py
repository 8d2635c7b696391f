"""Which packages a medium must hold, and why, by libsolv."""
