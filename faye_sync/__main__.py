"""python -m faye_sync: the command line."""

from faye_sync.cli import main

if __name__ == "__main__":
    main()
