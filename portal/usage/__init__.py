"""What was measured: metrics, their samples, and the figures made of them."""
