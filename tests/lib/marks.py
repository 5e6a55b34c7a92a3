"""Parts of a document that a program writes. They stand between two comments, <!-- NAME: begin --> and <!-- NAME: end -->."""


def parts(text, name):
    """(what is before the part, its lines, what is behind it); the comments belong to what is around it."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, is_there, rest = text.partition(begin)
    middle, is_closed, after = rest.partition(end)
    assert is_there and is_closed, f"{begin} and {end} are not there"
    return before + begin, middle.strip("\n").splitlines(), end + after


def replace(text, name, lines):
    """The text with these lines in place of the part."""
    before, _, after = parts(text, name)
    return "\n".join([before, *lines, after])
