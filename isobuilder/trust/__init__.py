"""Who signed it: OpenPGP keys pinned by fingerprint, signatures of metadata and of RPM packages, their digests."""
