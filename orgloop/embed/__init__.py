"""
OrgLoop inside of somebody else's program, on Trio or on asyncio.

    OrgLoop           one module, with callbacks                     _loop  _listening  _callbacks
    open_runtime      many modules                                   _runtime
    serve             the same, as a task of a nursery or a task group
    on_host           a plug-in that is written for asyncio          _host

On Trio these are the runtime itself. On asyncio Trio runs as a guest of the same thread (_guest), and the runtime lives
in there (_around).
"""

from orgloop.embed._callbacks import Settled
from orgloop.embed._host import on_host
from orgloop.embed._loop import OrgLoop
from orgloop.embed._runtime import open_runtime, serve

__all__ = ["OrgLoop", "Settled", "on_host", "open_runtime", "serve"]
