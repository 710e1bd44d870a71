"""
The application behind the front door: control, the original's ``/api``, and ``/api/v1``.

    application ─▶ table ─▶ modules  events  parts  configs  letters  logs  whole  original     who answers what
         │           └────▶ openapi  page                                      the same table, described
         ├─▶ reading ─▶ given                       what a request may bring
         ├─▶ shapes  originals ◀── looking          what is answered, and how it is made of what the runtime says
         ├─▶ problems                               what goes wrong
         ├─▶ masks                                  nothing secret leaves
         └─▶ ring ─▶ stream  past      meter ─▶ metrics          what is heard of the runtime while it serves

It calls the public methods of :class:`orgloop.runtime.runtime.Runtime` and nothing else.
"""

from orgloop.http.app.application import make_app
from orgloop.http.app.route import Control

__all__ = ["Control", "make_app"]
