"""The page of an audit: escaped, closed off, small enough, with all its parts."""

import base64
import hashlib
import html.parser
import io
import re

import numpy as np
import pytest

from tfrobustloss import data, plots
from tfrobustloss.data import estimate

VOID = {"meta", "link", "img", "input", "br", "rect"}
EVIL = "</script><script>alert(1)</script>"
NAMES = ["<script>alert(1)</script>", EVIL, "a&b\"'\u202e\x00\udcff"]


def make_estimate(classes=3, each=60):
    """A report on labels of which one in six is the next class."""
    clean = np.repeat(np.arange(classes), each)
    labels = np.where(np.arange(len(clean)) % 6 == 0, (clean + 1) % classes, clean)
    probabilities = np.full((len(clean), classes), 0.05 / classes)
    probabilities[np.arange(len(clean)), clean] += 0.95
    return estimate.report(labels, probabilities, "confident", resamples=20)


REPORT = make_estimate()


def make_findings(count=30, **fields):
    fields = {"id": "a.png", "given": 1, "likelier": 0, "confidence": 0.9, **fields}
    for i in range(count):
        yield plots.Finding(**{**fields, "id": f"{fields['id']}{i}"})


def make_page(findings=(), names=("a", "b", "c"), report=REPORT, **options):
    options = {"source": "pets", "created": "today", **options}
    return plots.audit_page(report, names, findings, **options)


class Parser(html.parser.HTMLParser):
    """Collects tags, attributes and text; raises where tags do not match."""

    def __init__(self, page):
        super().__init__()
        self.stack, self.tags, self.text, self.scripts = [], [], "", []
        self.feed(page)
        self.close()
        assert not self.stack

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag, f"{tag} closes another"

    def handle_data(self, data):
        if self.stack and self.stack[-1] in ("script", "style"):
            self.scripts.append(data)
        else:
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def png(size=28):
    return plots.thumbnail(np.zeros((size, size, 1), np.uint8))


@pytest.mark.parametrize("picture", [None, png()], ids=["rows", "cards"])
def test_texts_of_the_user_stay_texts(picture):
    fields = {"id": EVIL, "picture": picture, "cells": {EVIL: EVIL}}
    page = make_page(
        make_findings(2, **fields),
        NAMES,
        source=EVIL,
        facts={EVIL: EVIL},
        notes=[EVIL],
        next_steps=EVIL,
        code=EVIL,
        settings={EVIL: EVIL},
    )
    parsed = Parser(page)
    assert len(parsed.all("script")) == 1
    assert page.count("<script") == 1
    assert page.count("</script") == 1
    assert EVIL in parsed.text
    assert NAMES[0] in parsed.text
    assert "a&b\"'\u202e\\x00\\udcff" in parsed.text
    page.encode()  # no half of a surrogate is left
    for _, attributes in parsed.tags:
        assert not [name for name in attributes if name.startswith("on")]


def test_nothing_is_loaded_and_only_this_script_runs():
    page = make_page(make_findings(picture=png()))
    parsed = Parser(page)
    style, script = parsed.scripts
    assert "<" not in style + script.replace(" < ", "")
    policy = parsed.all("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for text, rule in ((style, "style-src"), (script, "script-src")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    links = [each.get(name, "") for _, each in parsed.tags for name in ("src", "href")]
    assert all(link.startswith("data:") for link in links if link)
    assert "http:" not in page
    assert "https:" not in page
    assert not [
        each for _, each in parsed.tags if "style" in each
    ]  # the policy forbids


def test_numbers():
    """The data by hand: 10 of 60 examples of each class have the next label."""
    parsed = Parser(make_page(make_findings(1, confidence=0.99999)))
    assert "About 16.7 % of the labels are wrong" in parsed.text
    assert "95 % interval: " in parsed.text
    assert parsed.text.count("83.3") == 3  # the diagonal
    assert parsed.text.count("16.7 % (") == 6  # of each label and each class
    assert "16.7 %5.6 %" in parsed.text  # of the class, of all
    assert "99.9\xa0%" in parsed.text  # never certain
    assert "Fewer than 200 labels of class" in parsed.text
    assert "1 of 30 labels" in parsed.text
    scopes = [each.get("scope") for each in parsed.all("th")]
    assert set(scopes) == {"row", "col"}


def test_cards_have_pictures_with_alternatives_and_controls_have_labels():
    parsed = Parser(make_page(make_findings(5, picture=png())))
    pictures = parsed.all("img")
    assert len(pictures) == 5
    assert sorted(each["alt"] for each in pictures)[0] == "a.png0"
    data = pictures[0]["src"].removeprefix("data:image/png;base64,")
    assert base64.b64decode(data)[1:4] == b"PNG"
    assert len(parsed.all("select")) + len(parsed.all("input")) == 5
    assert len(parsed.all("label")) == 6  # and a button
    (form,) = parsed.all("form")
    assert "hidden" in form  # until the script, which makes it work, shows it
    ids = [each["id"] for _, each in parsed.tags if "id" in each]
    assert sorted(ids) == sorted(set(ids))
    used = re.findall(r'control\("(\w+)"\)', parsed.scripts[1])
    assert set(used) <= set(ids)


def test_rows_show_the_cells():
    cells = {f"column {i}": i / 3 for i in range(20)}
    parsed = Parser(make_page(make_findings(3, cells={**cells, "column 0": "x" * 99})))
    assert "The first 12 columns of 20" in parsed.text
    assert "0.333333" in parsed.text
    assert "x" * 79 + "…" in parsed.text
    assert "column 12" not in parsed.text


def test_the_page_has_room_for_the_likeliest_and_for_rare_labels():
    findings = make_findings(4000, picture=png(), id="x" * 300)
    page = make_page(findings, most_bytes=200_000)
    assert 150_000 < len(page.encode()) <= 200_000
    listed = len(Parser(page).all("img"))
    assert f"{listed} of 30 labels" in page
    assert len(Parser(make_page(make_findings(3001))).all("tr")) < 3050
    given = [0] * 10 + [2] + [1] * 5
    assert plots.priority(given, most=6).tolist() == [0, 10, 11, 1, 2, 3]
    assert plots.priority([], most=6).tolist() == []


def test_many_classes_show_the_most_confused():
    report = make_estimate(40, each=12)
    page = make_page((), [f"c{i}" for i in range(40)], report)
    assert "The 30 most confused classes of 40 are shown" in page
    assert page.count('<td class="right') == 30
    assert "No label" not in page


def test_no_suspects():
    eye = np.repeat(np.eye(2), 50, axis=0)
    report = estimate.report(eye, 0.02 + 0.96 * eye, "confident", resamples=20)
    page = make_page((), ("a", "b"), report, next_steps="Edit it.")
    assert "No label is more likely wrong than right." in page
    assert "No two classes are confused." in page
    assert "Edit it." not in page
    assert "<form" not in page


def test_names_are_as_many_as_classes():
    with pytest.raises(ValueError, match=r"class_names.*must be 3.*=2"):
        make_page((), ("a", "b"))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(20, 30), (300, 3), (1, 1)])
def test_thumbnail(shape, channels):
    from PIL import Image

    image = np.random.default_rng(0).integers(0, 256, (*shape, channels), np.uint8)
    picture = Image.open(io.BytesIO(plots.thumbnail(image)))
    scale = min(1, 64 / max(shape))
    height, width = (max(1, round(scale * side)) for side in shape)
    assert picture.size == (width, height)


def annotators(names=("ann", "bob", "cat", "eve"), classes=3):
    """Reports on annotators of whom the last takes each class for the next."""
    truth = np.repeat(np.arange(classes), 20)
    labels = np.stack([truth] * len(names), axis=1)
    labels[::5, 1] = (truth[::5] + 1) % classes  # a fifth
    labels[:, -1] = np.where(np.arange(len(truth)) % 2, truth, (truth + 1) % classes)
    labels[truth == classes - 1, 0] = -1  # the first has not seen the last class
    table = data.Annotations.from_dense(labels, annotator_ids=names)
    return data.annotator_report(table)


def test_annotators():
    """By hand: eve is right on every other example, bob on four of five."""
    page = make_page(annotators=annotators())
    parsed = Parser(page)
    assert "4 annotators gave 220 labels. 1 of them agrees" in parsed.text
    rows = re.findall(
        r'<tr><th scope="row"><bdi>(ann|bob|cat|eve)</bdi></th>(.*)', page
    )
    assert [name for name, _ in rows][:2] == ["eve", "bob"]  # the doubtful first
    assert "at odds" in rows[0][1]
    assert "at odds" not in "".join(row for _, row in rows[1:])
    assert "50.0 %" in rows[0][1]
    assert "80.0 %" in rows[1][1]
    assert len(parsed.all("details")) == 4
    # a row of 3 numbers a class, but ann's of the class that she has not seen
    assert len(re.findall(r'<td class="right', page)) == 3 + 3 + 3 + 3 + 2
    assert "What ann confuses" in parsed.text


def test_names_of_annotators_stay_texts_and_their_tables_are_sortable():
    page = make_page(names=NAMES, annotators=annotators((EVIL, "<b>", "=1", "x")))
    parsed = Parser(page)
    assert page.count("<script") == 1
    assert EVIL in parsed.text
    assert "<b>" not in page
    tables = [each for each in parsed.all("table") if each.get("class") == "sortable"]
    assert len(tables) == 1
    assert 'querySelectorAll("table.sortable")' in page


def test_annotators_of_many_classes_and_of_others():
    names = [f"c{i}" for i in range(13)]
    page = make_page(
        names=names, report=make_estimate(13, 12), annotators=annotators(classes=13)
    )
    assert "<details>" not in page  # of 12 classes at most
    assert re.search(r"<bdi>c\d+</bdi> as <bdi>c\d+</bdi> \d+\.\d %", page)
    many = annotators([f"a{i}" for i in range(230)])
    page = make_page(annotators=many)
    assert "200 of 230 annotators are shown" in page
    assert page.count("<details>") == 20
    with pytest.raises(ValueError, match=r"confusion.shape` must be of 3 classes"):
        make_page(annotators=annotators(classes=4))
