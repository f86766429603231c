"""Look-alikes of the networks on loopback, for the demo and the tests. Nothing else imports them."""
