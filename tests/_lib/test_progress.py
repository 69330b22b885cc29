"""Progress that is shown, and none where it could only warn."""

import warnings

import pytest

from tokentree._lib import progress


@pytest.mark.parametrize("widgets", [True, False])
def test_a_notebook_without_widgets_gets_no_warning(monkeypatch: pytest.MonkeyPatch, widgets: bool) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(progress, "find_spec", lambda name: object() if widgets else None)
    assert progress.bar().disable is not widgets
    if not widgets:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert list(progress.tracked([1, 2], "counting", show=True)) == [1, 2]
        assert not caught


def test_a_bar_that_is_not_wanted_is_disabled() -> None:
    assert progress.bar(show=False).disable
    assert not progress.bar().disable
