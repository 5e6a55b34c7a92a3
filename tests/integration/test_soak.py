"""A minute of random faults under load; `make soak` goes on for ten."""

from soak import Soak


def test_a_minute():
    Soak(seconds=60).run()
