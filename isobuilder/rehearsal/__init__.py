"""A medium rehearsed: machines that go the whole way from the menu to a configured cloud, and what became of them."""
