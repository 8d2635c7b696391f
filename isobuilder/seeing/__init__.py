"""What there is on a medium, and what differs between two: values that commands print. Nothing is judged here."""
