"""From a tree to an image: layout, boot records, one pass over the bytes; and a bounded reader of finished ones."""
