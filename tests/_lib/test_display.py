"""Numbers as people read them."""

import pytest

from tokentree._lib.display import percent


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (1, "100%"), (1 / 3, "33.3%"), (0.99999, "99.999%"), (1 - 1e-12, "99.9999999999%")],
)
def test_a_share_is_told_from_the_whole(share, text):
    assert percent(share) == text
