"""
Transforms for what comes from strangers, and for what one wants to know of it; one module each shows an ``OFFER``.

    injection_scanner    finds text that is meant for an agent        _phrases   what it looks for
    sanitizer            takes out what must not go on                _html      tags out of a text
    rate_limit           lets so many through in a window
    timestamp            one time zone, and the parts of a time
    metadata             says where an event has passed
    _values              dot paths, and walks through a payload
"""
