"""The command line under torture: servers that lie, hosts that fail, inputs that mean harm. See `make torture`."""
