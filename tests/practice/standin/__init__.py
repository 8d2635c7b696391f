"""What stands in for Anaconda: it installs the practice system as a kickstart says, and fails on what it does not know.

It runs in stage 2, with that system's Python, pykickstart and dnf. Nothing of isobuilder is in it.
"""
