"""Floor 5: HTTP; one file per endpoint or page."""
