"""
The doors: one module per outside system.

A connector imports `orgloop.sdk` and the client of its system, nothing else. `orgloop` never imports a
connector; it finds each by its entry point.
"""
