"""
Loggers that carry notices to another machine, one module each; each shows an ``OFFER``.

    otel       OpenTelemetry: log records, and spans     _otlp      the JSON of both, from a notice
    syslog     RFC 5424                                  _rfc5424   its bytes, from a notice
    _outbox    between the thread that logs and the task that sends
"""
