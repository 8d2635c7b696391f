"""The practice mirror: a small mirror of CentOS's shape, made from the host distribution's own packages.

README.md says what it is, and where it differs from the real thing. isobuilder knows nothing of it: it is described to
isobuilder by a release file, as any release is.
"""
