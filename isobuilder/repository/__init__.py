"""Repository metadata: what upstream publishes, read; what the medium carries, written."""
