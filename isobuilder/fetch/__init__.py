"""Bytes come in: from the network, verified, into a content-addressed cache."""
