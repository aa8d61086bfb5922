"""`AskTell` under a search of another kind: texts, mutated letter by letter."""

import json
import random

import pytest

from tfrobustloss.search.ask_tell import AskTell, Codec
from tfrobustloss.search.cmaes import CmaSearch
from tfrobustloss.search.journal import header_of

FORMAT = "tfrobustloss.TextSearch/1"
LETTERS = "abcde"


class Mutations:
    """Texts of four letters: the better half of a generation, and mutations of it."""

    def __init__(self, seed, letters=LETTERS):
        self.letters, self.finished, self.run = letters, {}, 0
        self.seed, self.parents = seed, ["aaaa", "aaab"]
        self.generations = 0

    def sample(self):
        draw = random.Random(self.seed + self.generations)
        return [*self.parents, *(self.mutated(parent, draw) for parent in self.parents)]

    def further(self, generation, candidate_id):
        draw = random.Random(1000 * self.seed + candidate_id)
        return self.mutated(self.parents[0], draw)

    def mutated(self, text, draw):
        place = draw.randrange(4)
        return text[:place] + draw.choice(self.letters) + text[place + 1 :]

    def tell(self, generation):
        ranked = sorted(zip(generation.costs(), generation.points(), strict=True))
        self.parents = [text for _, text in ranked[:2]]
        self.generations += 1
        if ranked[0][0] == -4:
            self.finished = {"solved": ranked[0][1]}


class Words(Codec[str]):
    """Texts as lists of letters; those with other letters are refused."""

    def encode(self, x):
        return list(x)

    def decode(self, written):
        if set(written) - set(LETTERS):
            raise ValueError(written)
        return "".join(written)


class TextSearch(AskTell[str]):
    def __init__(self, seed=0, journal=None, codec=None, letters=LETTERS, **settings):
        super().__init__(
            Mutations(seed, letters),
            owner="TextSearch",
            codec=codec or Codec(),
            settings={"seed": seed, "direction": "max", **settings},
            packages={"letters": letters},
            journal=journal,
            journal_format=FORMAT,
        )

    @classmethod
    def resume(cls, journal, **options):
        settings = header_of(journal, "TextSearch", FORMAT)["options"]
        del settings["direction"]
        return cls(**settings, journal=journal, **options)


def value_of(text):
    return float(sum(one == other for one, other in zip(text, "cade", strict=True)))


def run(search, steps=10**6):
    while not search.finished and steps:
        for candidate in search.pending()[:steps]:
            search.tell(candidate.id, value_of(candidate.x))
            steps -= 1
            if not steps:
                break
    return search


def seen(search):
    return [(r.id, r.generation, r.x, r.value) for r in search.history()]


def test_a_search_over_texts_ends_and_resumes_at_every_moment(tmp_path):
    whole = run(TextSearch())
    assert whole.best == ("cade", 4.0)
    assert whole.finished == {"solved": "cade"}
    count = len(whole.history())
    assert count > 12
    path = tmp_path / "texts.jsonl"
    for step in range(count):
        begin = TextSearch.resume if step else TextSearch
        run(begin(journal=path), 1).close()
    again = TextSearch.resume(path)
    assert seen(again) == seen(whole)
    assert again.finished == whole.finished
    again.close()
    header, first, *_ = map(json.loads, path.read_text().splitlines())
    assert header["format"] == FORMAT
    assert first["x"] == "aaaa"


@pytest.mark.parametrize("settings", [{"overflow": True}, {"reevaluations": 2}])
def test_overflow_and_reevaluation_of_texts(settings, tmp_path):
    path = tmp_path / "texts.jsonl"
    search = TextSearch(journal=path, **settings)
    asked = [search.ask() for _ in range(5)]
    assert (asked[4] is None) == ("overflow" not in settings)
    for candidate in filter(None, asked[::-1]):
        search.tell(candidate.id, value_of(candidate.x))
    if "reevaluations" in settings:
        again = search.ask_generation()
        assert [c.x for c in again] == [asked[c.repeats].x for c in again]
        assert len(again) == 2
    records, pending = seen(search), [c.x for c in search.pending()]
    search.close()
    resumed = TextSearch.resume(path)
    assert seen(resumed) == records
    assert [c.x for c in resumed.pending()] == pending
    resumed.close()


def test_another_way_to_write_candidates(tmp_path):
    path = tmp_path / "texts.jsonl"
    search = run(TextSearch(journal=path, codec=Words()), 9)
    search.close()
    assert json.loads(path.read_text().splitlines()[1])["x"] == list("aaaa")
    again = TextSearch.resume(path, codec=Words())
    assert seen(again) == seen(search)
    again.close()


def test_candidates_that_are_drawn_differently_now(tmp_path):
    path = tmp_path / "texts.jsonl"
    search = run(TextSearch(journal=path), 12)
    search.close()
    with pytest.warns(UserWarning, match="^TextSearch: .*not those asked here. It was"):
        again = TextSearch.resume(path, letters="edcba")
    assert seen(again) == seen(search)  # what was evaluated counts
    again.close()


def test_candidates_that_are_none_are_damage(tmp_path):
    path = tmp_path / "texts.jsonl"
    run(TextSearch(journal=path, letters="xyz"), 12).close()
    with pytest.warns(UserWarning, match=r"damage in line 4\. Not used: lines 4 to 13"):
        search = TextSearch.resume(path, codec=Words())
    assert len(search.history()) == 2
    search.close()


def test_errors_name_the_search(tmp_path):
    search = TextSearch(journal=tmp_path / "texts.jsonl")
    with pytest.raises(ValueError, match=r"TextSearch: `candidate_id` .*\[0, 3\].*=4"):
        search.tell(4, 1.0)
    with pytest.raises(TypeError, match="TextSearch: `value` must be a number.*'good'"):
        search.tell(0, "good")
    with pytest.raises(RuntimeError, match="TextSearch: `journal` .*no other search"):
        TextSearch.resume(tmp_path / "texts.jsonl")
    search.tell(0, 1.0)
    search.close()
    with pytest.raises(RuntimeError, match=r"TextSearch.resume\(path\)"):
        search.tell(1, 1.0)
    with pytest.raises(ValueError, match=r"seed=1, there seed=0.*TextSearch\.resume"):
        TextSearch(seed=1, journal=tmp_path / "texts.jsonl")


def test_the_journal_of_another_kind_of_search(tmp_path):
    texts, vectors = tmp_path / "texts.jsonl", tmp_path / "vectors.jsonl"
    run(TextSearch(journal=texts), 3).close()
    CmaSearch([0.0], 1.0, journal=vectors).close()
    content = texts.read_bytes()
    with pytest.raises(ValueError, match="a journal of CmaSearch.*TextSearch/1"):
        CmaSearch.resume(texts)
    with pytest.raises(ValueError, match="a journal of TextSearch.*CmaSearch/1"):
        TextSearch(journal=vectors)
    assert texts.read_bytes() == content
    (tmp_path / "thesis.txt").write_text("All my work.\n")
    with pytest.raises(ValueError, match="a journal of TextSearch, or new.*thesis.txt"):
        TextSearch(journal=tmp_path / "thesis.txt")
