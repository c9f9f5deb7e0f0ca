"""Tokenizers: what each makes of a text, and which vocabularies are refused."""

from pathlib import Path

import pytest

from farzi.data.text import Bytes, Fitted, Subwords, Words, marks, spaces
from farzi.errors import FarziError


def reads(fitted: Fitted, line: str) -> list[str]:
    return [fitted.names[i - 1] or fitted.ids[i - 1] for i in fitted.encode([line])]


def test_words_and_marks():
    assert marks("Don’t pay 3,000.50 (or <unk>)!") == [
        "don't",
        "pay",
        "3,000.50",
        "(",
        "or",
        "<unk>",
        ")",
        "!",
    ]
    assert marks("fellow-citizens: über_") == ["fellow", "-", "citizens", ":", "über", "_"]
    assert spaces(" N.V. the <unk> ") == ["N.V.", "the", "<unk>"]


def test_the_commonest_words_are_kept_in_the_order_of_their_counts():
    fitted = Words(5, cut=spaces).fit([["a a a b b", "c c d"], ["e"]], "x")
    # <eos> 3, a 3, then the two words out, <unk> 2, b 2, c 2: ties by spelling
    assert fitted.ids == ("<eos>", "a", "<unk>", "b", "c")
    assert fitted.encode(["a d", "zzz b"]).tolist() == [2, 3, 1, 3, 4, 1]
    assert (fitted.start, fitted.unknown) == (1, 3)


def test_all_words_are_kept_by_default_and_unknown_has_a_place():
    fitted = Words(cut=spaces).fit([["b a a"]], "x")
    assert fitted.ids == ("a", "<eos>", "b", "<unk>")
    assert reads(fitted, "a new") == ["a", "<unk>", "<eos>"]
    counted = Words(cut=spaces).fit([["a <unk> <unk>"]], "x")
    assert counted.ids[0] == "<unk>"  # as in Penn Treebank, where it stands in the text


def test_a_list_of_words_keeps_its_order(tmp_path: Path):
    path = tmp_path / "words"
    path.write_text("to\nbe\n\n")
    fitted = Words(listed=str(path)).fit([["unread"]], "x")
    assert fitted.ids == ("to", "be", "<unk>", "<eos>")
    assert reads(fitted, "To be!") == ["to", "be", "<unk>", "<eos>"]
    path.write_text("to\nbe\nto\n")
    with pytest.raises(FarziError, match=r"words:3: 'to' is listed twice, on line 1"):
        Words(listed=str(path)).fit([["x"]], "x")
    path.write_text("to be\n")
    with pytest.raises(FarziError, match=r"words:1: more than one word"):
        Words(listed=str(path)).fit([["x"]], "x")


@pytest.mark.parametrize(("size", "line"), [(2, "no place for a word"), (9, r"has 4 different tokens only")])
def test_a_vocabulary_of_words_that_cannot_be_is_refused(size: int, line: str):
    with pytest.raises(FarziError, match=line):
        Words(size).fit([["a b"]], "x")


def test_bytes_are_the_text_as_utf_8():
    fitted = Bytes().fit([["x"]], "x")
    line = "Größe 5\t!"
    assert bytes(i - 1 for i in fitted.encode([line]).tolist()).decode() == line + "\n"
    assert len(set(fitted.ids)) == 256
    assert reads(fitted, "A b")[:3] == ["A", "␣", "b"]
    assert fitted.start == fitted.encode([""])[0]


def test_sentences_end_at_marks_and_ends_of_lines():
    words = Words(cut=marks).fit([["Why? No. a, b"]], "x")
    assert {words.ids[i - 1] for i in words.sentence_ends()} == {"?", ".", "<eos>"}
    ends = Bytes().fit([["x"]], "x").sentence_ends()
    assert set(ends.tolist()) == {b + 1 for b in b"\n.!?"}


CORPUS = [
    [
        f"the men of the {name} went to the {place}."
        for name in ("north", "south")
        for place in ("sea", "hill")
    ]
]


def test_subwords_learn_from_the_text_and_give_it_back():
    tokenizers = pytest.importorskip("tokenizers")
    fitted = Subwords(280).fit(CORPUS, "x")
    assert len(fitted.ids) == 280
    assert fitted.ids[fitted.start - 1] == "<eos>"
    line = "the sea, für the men"
    tokens = fitted.encode([line])
    assert tokens[-1] == fitted.start
    assert (
        "".join(name or "?" for name in (fitted.names[i - 1] for i in tokens[:-1])).replace("??", "ü") == line
    )
    assert len(tokens) < len(line.encode())
    assert Subwords(280).fit(CORPUS, "x").ids == fitted.ids
    assert fitted.json is not None
    same = tokenizers.Tokenizer.from_str(fitted.json)  # who has the summary can cut other texts alike
    assert [token + 1 for token in same.encode("the cat").ids] == fitted.encode(["the cat"]).tolist()[:-1]


@pytest.mark.parametrize(
    ("size", "line"), [(200, "too small for all bytes"), (5000, "gives .* subwords only")]
)
def test_a_vocabulary_of_subwords_that_cannot_be_is_refused(size: int, line: str):
    pytest.importorskip("tokenizers")
    with pytest.raises(FarziError, match=line):
        Subwords(size).fit(CORPUS, "x")


def test_a_tokenizer_of_ones_own_is_loaded(tmp_path: Path):
    tokenizers = pytest.importorskip("tokenizers")
    path = tmp_path / "tokenizer.json"
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"[UNK]": 0, "sea": 1, "</s>": 2}, unk_token="[UNK]")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(path))
    fitted = Subwords(file=str(path)).fit([["x"]], "x")
    assert fitted.ids == ("[UNK]", "sea", "</s>")
    assert fitted.encode(["sea air", "sea"]).tolist() == [2, 1, 3, 2, 3]
    path.write_text("{}")
    with pytest.raises(FarziError, match=r"not a tokenizer\.json"):
        Subwords(file=str(path)).fit([["x"]], "x")
    with pytest.raises(FarziError, match="no such file"):
        Subwords(file=str(tmp_path / "nowhere")).fit([["x"]], "x")
