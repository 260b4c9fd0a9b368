"""Run the command as `python -m notifier`, also where it is not installed."""

from .cli import main


if __name__ == "__main__":
    main()
