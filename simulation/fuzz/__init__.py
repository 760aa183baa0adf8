"""Messages of order entry drawn from bytes, and what must hold whatever they say."""
