"""Measurements that the documents state, each a command; studies of many runs among them."""
