"""From one short definition file to one installer ISO for the machines of a private cloud."""

__version__ = "0.1.0"
