"""What a test has measured, for whoever runs it with -s to know."""


def tell(line):
    print(line)  # noqa: T201 that is what it is for
