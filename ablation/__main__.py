"""``python -m ablation``: the command line."""

from ablation.cli.app import main

if __name__ == "__main__":
    main()
