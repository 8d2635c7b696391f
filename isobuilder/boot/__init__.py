"""A medium in a virtual machine: choose a menu entry, follow the console, give a verdict."""
