"""What went into a medium, said on it and beside it: inputs, manifest, bill of materials, signature; and made again."""
