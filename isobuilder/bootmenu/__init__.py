"""The boot menus of a medium: one list of entries, rendered for each loader that starts the medium."""
