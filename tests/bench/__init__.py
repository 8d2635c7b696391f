"""How fast the product is beside the usual tools, measured side by side: `make bench`.

Every row is a ratio of two medians, of runs that take turns with the same inputs. What the machine does besides falls
on both, so that a ratio says more than seconds do.
"""
