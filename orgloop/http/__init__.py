"""
The front door.

    front ─▶ sockets                              what is listened on, and the tree of what serves it
      ├─▶ accepting                               a task for each connection
      ├─▶ connection ─▶ inbox ─▶ request          one connection: bytes, pieces, values
      │       ├─▶ seats                           how many there may be
      │       ├─▶ places, walls                   where a request goes, and what it must get past
      │       ├─▶ ingest ─▶ strict_json           events, answered once they are durable
      │       └─▶ tunnel                          everything else, bytes untouched
      └─▶ guarded ─▶ asgi ─▶ app                  hypercorn, with the same walls before the application
    answers  limits  tellers                      what is sent back, what may be used, what is said of it
"""
