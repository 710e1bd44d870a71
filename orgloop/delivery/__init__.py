"""
From an obligation to its end.

Pure: when to try again (:mod:`~orgloop.delivery.retry`), whether to try at all (:mod:`~orgloop.delivery.breaker`), how
fast (:mod:`~orgloop.delivery.rate`). On disk: what was given up (:mod:`~orgloop.delivery.dead_letters`).
"""
