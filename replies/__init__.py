"""Writing to the networks: one file per channel, and the outbox that sends each reply once or asks somebody."""
