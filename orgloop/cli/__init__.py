"""
The command line: it reads arguments, calls the library or the running daemon, and shows what came of it.

    main ──▶ commands (a table: name ─▶ module, imported when it is asked for)
               │ each gets a Context: where the project and the home are, and an Output to speak through
               └─▶ returns its exit code, or raises: errors.py makes four-part reports of whatever was raised
"""
