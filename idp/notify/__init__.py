"""Messages to people: from the outbox to a gateway, beside the pages and never in their way (F15, F16)."""
