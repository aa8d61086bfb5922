"""Tables of text on a terminal."""

from tfrobustloss.cli import console


def test_a_table_is_aligned():
    rows = [("loss", "best"), ("adma", "9.5"), ("cross_entropy", "10.5")]
    assert console.table("Title", rows, ["A note."]).split("\n") == [
        "",
        "Title",
        "",
        "loss           best",
        "-------------  ----",
        "adma            9.5",
        "cross_entropy  10.5",
        "",
        "A note.",
    ]


def test_characters_of_two_columns_and_of_none():
    # by Unicode's East_Asian_Width: 猫 and 犬 are wide; the accent has no width
    rows = [("label", "mostly"), ("猫猫", "犬"), ("cafe\u0301", "cat")]
    lines = console.table("", rows).split("\n")[3:7]
    assert lines == [
        "label  mostly",
        "-----  ------",
        "猫猫       犬",
        "cafe\u0301      cat",
    ]
