"""A role is a kickstart: which roles there are, their templates rendered, and what an installer makes of the result."""
