"""``python -m orgloop`` is ``orgloop``."""

from orgloop.cli.main import main

if __name__ == "__main__":
    main()
