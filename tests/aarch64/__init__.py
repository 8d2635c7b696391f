"""A mirror for aarch64, small as can be: Debian's kernel and loaders, the practice installer, and empty packages."""
