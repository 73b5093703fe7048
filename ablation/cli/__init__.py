"""The command line: parse, call one function of the library, print."""


def main() -> None:
    """Run the command line, which is imported no sooner."""
    from ablation.cli.app import main as run_command_line

    run_command_line()
