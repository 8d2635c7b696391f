"""Every parser of bytes from strangers, fed with what no maker of such bytes would make. See `make fuzz`."""
