"""Boot menus of any maker, read: what a loader would make of them, without starting anything.

Readers are tolerant: what one does not understand it leaves alone. They are bounded, since nothing that they read is
trusted. Which files there are is asked of `Devices`, so that a menu can be followed to others.
"""
