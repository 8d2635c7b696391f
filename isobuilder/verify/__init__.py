"""Proof without booting: what would go wrong with a finished medium, ours or anybody's, found at the desk."""
