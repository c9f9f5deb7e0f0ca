"""Tokenizers: what each kind makes of a text, and which vocabularies are refused."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from farzi.data.text.documents import Document
from farzi.data.text.tokenizer import FittedTokenizer, cut_at_ends, fit_tokenizer
from farzi.errors import FarziError, FarziWarning


def fit(
    kind: str, train: Sequence[Document], size: int | None = None, file: Path | None = None
) -> FittedTokenizer:
    return fit_tokenizer(kind, train, "x", size, None if file is None else str(file))


def reads(fitted: FittedTokenizer, line: str) -> list[str]:
    return [fitted.names[i - 1] or fitted.ids[i - 1] for i in fitted.encode([line])]


def words_of(kind: str, line: str) -> list[str]:
    return reads(fit(kind, [[line]]), line)[:-1]


def test_words_and_punctuation_marks():
    line = "Don’t pay 3,000.50 (or <unk>)!"
    assert words_of("words", line) == ["don't", "pay", "3,000.50", "(", "or", "<unk>", ")", "!"]
    assert words_of("words", "fellow-citizens: über_") == ["fellow", "-", "citizens", ":", "über", "_"]
    assert words_of("words", "ΟΔΟΣ Σ ½x m² 5ⅷ नमस्ते") == [
        *("οδος", "σ", "½x", "m²", "5", "ⅷ", "नमस्ते"),
    ]
    assert words_of("spaces", " N.V. the\u00a0<unk> ") == ["N.V.", "the", "<unk>"]


letters = st.characters(codec="utf-8", exclude_categories=["Cn", "Cs"], exclude_characters="\x1c\x1d\x1e\x1f")


def category(one: str) -> str:
    """What a character is to a tokenizer of words, as one letter."""
    kind = unicodedata.category(one)
    if one in "_'.,":
        return "." if one == "," else one
    if kind[0] == "M" or one in "\u200c\u200d":
        return "c"  # combining
    return "d" if kind == "Nd" else "l" if kind[0] in "LN" else " " if one.isspace() else "m"


@given(st.text(letters, max_size=30))
def test_words_are_those_of_a_regular_expression(line: str):
    """Against Python's `re` on categories; without Σ beside marks and four controls as white space."""
    line = unicodedata.normalize("NFC", line.replace("Σ", "s").strip())
    text = unicodedata.normalize("NFC", "".join(map(str.lower, line))).replace("’", "'")
    kinds = "".join(map(category, text))
    expression = r"(?:dc*)+(?:\.(?:dc*)+)*|(?:lc*)+(?:'(?:lc*)+)*|[m'._c]c*"
    found = [text[match.start() : match.end()] for match in re.finditer(expression, kinds)]
    assert words_of("words", line) == found
    assert words_of("spaces", line) == line.split()


def test_the_most_frequent_words_are_kept_in_the_order_of_their_counts():
    fitted = fit("spaces", [["a a a b b", "c c d"], ["e"]], 5)
    # <eos> 3, a 3, then the two words that are left out, <unk> 2, b 2, c 2: ties by spelling
    assert fitted.ids == ("<eos>", "a", "<unk>", "b", "c")
    assert fitted.encode(["a d", "zzz b"]).tolist() == [2, 3, 1, 3, 4, 1]
    assert (fitted.end, fitted.unknown) == (1, 3)


def test_all_words_are_kept_by_default_and_unknown_has_a_place():
    fitted = fit("spaces", [["b a a"]])
    assert fitted.ids == ("a", "<eos>", "b", "<unk>")
    assert reads(fitted, "a new") == ["a", "<unk>", "<eos>"]
    counted = fit("spaces", [["a <unk> <unk> <eos>"]])
    assert counted.ids == ("<eos>", "<unk>", "a")  # as in Penn Treebank, where they occur in the text


def test_a_list_of_words_keeps_its_order(tmp_path: Path):
    path = tmp_path / "words"
    path.write_text("to\nbe\n\n")
    fitted = fit("words", [["unread"]], file=path)
    assert fitted.ids == ("to", "be", "<unk>", "<eos>")
    assert reads(fitted, "To be!") == ["to", "be", "<unk>", "<eos>"]
    path.write_text("to\nbe\nto\n")
    with pytest.raises(FarziError, match=r"words:3: 'to' is listed twice, first on line 1"):
        fit("words", [["x"]], file=path)
    path.write_text("to be\n")
    with pytest.raises(FarziError, match=r"words:1: more than one word"):
        fit("words", [["x"]], file=path)


@pytest.mark.parametrize(
    ("kind", "size", "line"),
    [
        ("words", 2, "no place for a word .*vocabulary_size"),
        ("words", 9, r"has only 4 different tokens.*vocabulary_size"),
        ("subwords", 200, "too small for all bytes.*vocabulary_size"),
        ("subwords", 5000, "gives only .* subwords.*vocabulary_size"),
        ("bytes", 9, "always 256"),
    ],
)
def test_a_size_that_cannot_be_is_refused(kind: str, size: int, line: str):
    with pytest.raises(FarziError, match=line):
        fit(kind, [["a b"]], size)


def test_bytes_are_the_text_as_utf_8():
    fitted = fit("bytes", [["x"]])
    line = "Größe 5\t!" + "".join(map(chr, range(0x180))) + "日本"
    assert bytes(i - 1 for i in fitted.encode([line]).tolist()).decode() == line + "\n"
    assert len(set(fitted.ids)) == 256
    assert reads(fitted, "A b")[:3] == ["A", "␣", "b"]
    assert fitted.end == fitted.encode([""])[0]
    assert (
        tokenizers.Tokenizer.from_str(fitted.tokenizer.to_str()).decode(
            [i - 1 for i in fitted.encode([line])]
        )
        == line + "\n"
    )


def test_sentences_end_at_marks_and_ends_of_lines():
    words = fit("words", [["Why? No. a, b"]])
    assert {words.ids[i - 1] for i in words.sentence_ends()} == {"?", ".", "<eos>"}
    assert set(fit("bytes", [["x"]]).sentence_ends().tolist()) == {b + 1 for b in b"\n.!?"}


CORPUS = [
    [
        f"the men of the {name} went to the {place}."
        for name in ("north", "south")
        for place in ("sea", "hill")
    ]
]


def test_subwords_are_learnt_from_the_text_and_give_it_back():
    fitted = fit("subwords", CORPUS, 280)
    assert len(fitted.ids) == 280
    assert fitted.ids[fitted.end - 1] == "<eos>"
    line = "the sea, für the men"
    tokens = fitted.encode([line])
    assert tokens[-1] == fitted.end
    names = [fitted.names[i - 1] or "?" for i in tokens[:-1]]
    assert "".join(names).replace("??", "ü") == line
    assert len(tokens) < len(line.encode())
    assert fit("subwords", CORPUS, 280).ids == fitted.ids


@pytest.mark.parametrize("kind", ["words", "spaces", "bytes", "subwords"])
def test_the_stored_tokenizer_gives_the_same_tokens(kind: str):
    fitted = fit(kind, CORPUS, 280 if kind == "subwords" else None)
    same = tokenizers.Tokenizer.from_str(fitted.tokenizer.to_str())
    line = "the Cat, of the sea."
    assert [token + 1 for token in same.encode(line).ids] == fitted.encode([line]).tolist()[:-1]
    assert same.get_vocab_size() == len(fitted.ids)


def test_a_long_document_is_encoded_in_batches(monkeypatch: pytest.MonkeyPatch):
    fitted = fit("words", CORPUS)
    whole = fitted.encode(CORPUS[0])
    monkeypatch.setattr("farzi.data.text.tokenizer.BATCH", 1)
    assert fitted.encode(CORPUS[0]).tolist() == whole.tolist()


def test_a_given_tokenizer_is_loaded(tmp_path: Path):
    path = tmp_path / "tokenizer.json"
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"[UNK]": 0, "sea": 1, "</s>": 2}, unk_token="[UNK]")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(path))
    fitted = fit("subwords", [["x"]], file=path)
    assert fitted.ids == ("[UNK]", "sea", "</s>")
    assert fitted.encode(["sea air", "sea"]).tolist() == [2, 1, 3, 2, 3]
    path.write_text("{}")
    with pytest.raises(FarziError, match=r"not a tokenizer\.json"):
        fit("subwords", [["x"]], file=path)
    with pytest.raises(FarziError, match="no such file"):
        fit("subwords", [["x"]], file=tmp_path / "nowhere")


def test_a_tokenizer_in_words(tmp_path: Path):
    (tmp_path / "list").write_text("one\n")
    assert fit("words", CORPUS, 4).kind.endswith("lower case, the 4 most frequent")
    assert fit("spaces", CORPUS).kind == "words separated by spaces, all of them"
    assert fit("spaces", CORPUS, file=tmp_path / "list").kind.endswith(f"those listed in {tmp_path / 'list'}")
    assert fit("subwords", CORPUS, 280).kind.startswith("280 subwords learnt")
    assert fit("bytes", CORPUS).kind == "bytes"


def given_tokenizer(path: Path, model: Any) -> FittedTokenizer:
    made = tokenizers.Tokenizer(model)
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(path))
    return fit("subwords", [["x"]], file=path)


@pytest.mark.parametrize("model", ["WordLevel", "WordPiece", "BPE", "Unigram"])
def test_a_given_tokenizer_counts_what_it_does_not_know(tmp_path: Path, model: str):
    made: Any = tokenizers.models.Unigram([("[UNK]", -9.0), ("sea", -1.0), ("s", -2.0)], unk_id=0)
    if model != "Unigram":
        vocabulary = {"[UNK]": 0, "sea": 1, "s": 2}
        own = ({}, []) if model == "BPE" else ({},)
        made = getattr(tokenizers.models, model)(vocabulary, *own[1:], unk_token="[UNK]")
    fitted = given_tokenizer(tmp_path / "t.json", made)
    assert fitted.unknown == 1
    assert fitted.unknown in fitted.encode(["zoo"])


def test_a_given_tokenizer_without_a_token_for_the_unknown(tmp_path: Path):
    path = tmp_path / "t.json"
    with pytest.raises(FarziError, match=r"t\.json: this tokenizer cannot encode the text \(WordLevel"):
        given_tokenizer(path, tokenizers.models.WordLevel({"sea": 0}, unk_token="[UNK]")).encode(["sea air"])
    drops = given_tokenizer(path, tokenizers.models.BPE({"s": 0, "e": 1}, []))
    assert drops.unknown is None
    assert drops.encode(["s e"]).tolist() == [1, 2, 3]
    with pytest.raises(FarziError, match=r"t\.json: this tokenizer leaves 'a' out without any token"):
        drops.encode(["see", "sea"])


def test_a_given_tokenizer_reads_its_special_tokens_as_text(tmp_path: Path):
    made = tokenizers.ByteLevelBPETokenizer()
    made.train_from_iterator(["see </s> now"], 300, special_tokens=["</s>"], show_progress=False)
    made.save(str(tmp_path / "t.json"))
    fitted = fit("subwords", [["x"]], file=tmp_path / "t.json")
    assert fitted.ids[fitted.end - 1] == "</s>"
    assert fitted.encode(["see </s> now"]).tolist().count(fitted.end) == 1


@pytest.mark.parametrize(
    "words",
    [
        "हिन्दी विश्व भाषा है",
        "สวัสดี ชาวโลก",
        "كِتَاب مَدْرَسَة",
        "שָׁלוֹם עוֹלָם",
        "বাংলা ভাষা",
        "வணக்கம் உலகம்",
        "می\u200cخواهم کتاب",
        "tiếng việt",
    ],
)
def test_combining_marks_belong_to_their_words(words: str):
    assert words_of("words", words) == [unicodedata.normalize("NFC", word) for word in words.split()]


def test_two_spellings_of_one_word_are_one_word(tmp_path: Path):
    composed, decomposed = "café Naïve Å", "cafe\u0301 Nai\u0308ve \u212b"
    for kind in ("words", "spaces"):
        assert words_of(kind, composed) == words_of(kind, decomposed)
        fitted = fit(kind, [[composed, decomposed]])
        assert len(fitted.ids) == 5  # with <eos> and <unk>
        (tmp_path / "list").write_text(decomposed.replace(" ", "\n"))
        listed = fit(kind, [["x"]], file=tmp_path / "list")
        assert listed.unknown not in listed.encode([composed])


@pytest.mark.parametrize("kind", ["words", "spaces"])
def test_a_written_end_is_the_end_of_the_line(kind: str):
    marked = [["a b <eos>", "<eos>", "c <eos> d"], ["<eos>"]]
    assert cut_at_ends(marked, kind) == [["a b", "c", "d"]]
    assert cut_at_ends([["Me <EOS> you", "x<eos>y"]], kind) == [
        ["Me", "you", "x", "y"] if kind == "words" else ["Me <EOS> you", "x<eos>y"]
    ]
    assert cut_at_ends(marked, "bytes") == cut_at_ends(marked, "subwords") == marked


def test_in_subwords_a_written_end_is_text():
    fitted = fit("subwords", [["say <eos> now"]], 262)
    assert fitted.encode(["say <eos> now"]).tolist().count(fitted.end) == 1
    assert "".join(reads(fitted, "say <eos> now")[:-1]) == "say <eos> now"


def test_a_list_is_brought_into_the_form_of_the_tokens(tmp_path: Path):
    path = tmp_path / "words"
    path.write_text("Paris\nROME\nrome\nnice\n<unk>\n<eos>\n")
    assert fit("words", [["x"]], file=path).ids == ("paris", "rome", "nice", "<unk>", "<eos>")
    assert fit("spaces", [["x"]], file=path).ids == ("Paris", "ROME", "rome", "nice", "<unk>", "<eos>")
    path.write_text("nice\nco-op\n")
    with pytest.warns(FarziWarning, match=r"1 listed words cannot occur.*'co-op' \(line 2\)"):
        assert fit("words", [["x"]], file=path).ids == ("nice", "<unk>", "<eos>")
    path.write_text("co-op\n")
    with pytest.raises(FarziError, match="no listed word can occur"):
        fit("words", [["x"]], file=path)
