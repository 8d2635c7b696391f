"""What is done to the command line, a module each: cases to run, and what broke in them."""
