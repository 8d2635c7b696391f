"""What this machine has and lacks of what isobuilder uses, for which commands, and how to get it.

Nothing is looked at that no command uses: signatures, ISO images and packages need no program besides isobuilder. No
network is touched.
"""
