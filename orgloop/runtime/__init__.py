"""The composition root: the parts of the hall, put together into a supervised whole; see ``docs`` for its tree."""
