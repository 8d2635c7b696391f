"""What makes a front end, a node controller or a cloud in a box out of a machine. Nothing outside knows a product."""
