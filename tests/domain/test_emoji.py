"""What counts as one emoji."""

import pytest

from inbox.domain.emoji import has_emoji, is_emoji

ONE = [
    "👍",
    "👍🏽",
    "❤️",
    "❤",
    "⭐",
    "👨‍👩‍👧‍👦",
    "👩🏿‍❤️‍💋‍👩🏿",
    "🇫🇷",
    "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "🏳️‍🌈",
    "1️⃣",
    "#⃣",
    "🫩",
    "🏽",
    "🙋‍♀️",
    "😮‍💨",
    "㊗️",
]
NOT_ONE = [
    "",
    " ",
    "a",
    "1",
    "#",
    "é",
    "👍👍",
    "👍 ",
    "👍a",
    "🇫",
    "🇫🇷🇩🇪",
    "👍\u200d",
    "\u200d",
    "\ufe0f",
    "❤\ufe0e",
    ":)",
    "♔",
    "👍\n",
    "👍" + "\u200d👍" * 20,
]


@pytest.mark.parametrize("text", ONE)
def test_one_sign_is_one_emoji_however_it_is_made(text):
    assert is_emoji(text)
    assert has_emoji(f"Un {text} ici")


@pytest.mark.parametrize("text", NOT_ONE)
def test_anything_else_is_none(text):
    assert not is_emoji(text)


@pytest.mark.parametrize("text", ["", "Réserver", "+33 6 #1 *", "日本語", "— « » …", "a\u0301"])
def test_plain_writing_has_no_emoji(text):
    assert not has_emoji(text)
