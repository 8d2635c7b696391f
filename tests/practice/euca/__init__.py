"""A stand-in for a cloud: what its commands and services know, and how they are on a machine."""
