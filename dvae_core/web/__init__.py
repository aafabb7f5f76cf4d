"""What runs in a browser, without a server: the decoder."""
