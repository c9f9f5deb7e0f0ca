"""Texts in several encodings and conditions, tokenizers and lists of words."""

import json
import random
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import models, pre_tokenizers

import farzi
from scripts.fuzz.case import LIKED, Case, Fault, changed_value, damaged

WORDS = [
    "red",
    "Blue",
    "e\u0301t\u00e9",
    "हिन्दी",
    "don't",
    "3,000",
    "<unk>",
    "<eos>",
    "naïve",
    "日本語",
    ".",
    "x_y",
]


def made(rng: random.Random) -> str:
    """A text of some lines."""
    words = [*WORDS, rng.choice(LIKED)] if rng.random() < 0.3 else WORDS
    lines = (" ".join(rng.choices(words, k=rng.randrange(1, 9))) for _ in range(rng.randrange(20, 60)))
    return "\n".join(lines) + rng.choice(["\n", "", "\x1a", "\n\n"])


def text(rng: random.Random, folder: Path) -> Case:
    """A text, damaged in half of the cases, as tokens of one kind."""
    data = made(rng).encode()
    if rng.random() < 0.5:
        data = damaged(data, rng)
    path = folder / "text.txt"
    path.write_bytes(data)
    tokens = rng.choice(["words", "spaces", "spaces", "bytes", "subwords"])
    settings: dict[str, Any] = {"tokens": tokens, "lines": rng.choice(["sentences", "documents", "running"])}
    if tokens == "subwords":
        settings["vocabulary_size"] = rng.choice([257, 270])
    if settings["lines"] == "documents" and rng.random() < 0.5:
        settings["split"] = "random"
    return _case(path, settings, check_of(path, settings))


def check_of(path: Path, settings: dict[str, Any]) -> Callable[[Any], None]:
    """Compares tokens that spaces separate, and bytes, with those of a strict reading."""

    def check(read: Any) -> None:
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf").removesuffix(b"\x1a")
        try:
            content = data.decode()
        except UnicodeDecodeError:
            raise Fault("accepted, though not UTF-8") from None
        if settings["tokens"] not in ("spaces", "bytes") or settings["lines"] == "running" or "\r" in content:
            return
        lines = [line.strip() for line in content.split("\n")]
        parts = (read.train, read.valid.texts, read.test.texts)
        ids = read.vocabulary.frame["id"].to_list()
        if settings["tokens"] == "bytes":
            wanted = [line.encode() + b"\n" for line in lines if line]
            found = [bytes(item - 1 for item in one) for part in parts for one in part]
            if sorted(b"".join(found).split(b"\n")) != sorted(b"".join(wanted).split(b"\n")):
                raise Fault("the bytes differ")
            return
        expected = []
        for line in lines:
            words = unicodedata.normalize("NFC", line).split()
            for at, word in enumerate(words):
                if word != "<eos>":
                    expected.append(word)
                if word == "<eos>" or at == len(words) - 1:
                    expected.append("<eos>")
        expected = [
            one for at, one in enumerate(expected) if one != "<eos>" or (at and expected[at - 1] != "<eos>")
        ]
        found = [ids[item] for part in parts for one in part for item in one]
        if settings.get("split") == "random":
            expected, found = sorted(expected), sorted(found)
            known = [one for one in found if one != "<unk>"]
            if len(expected) != len(found) or not set(known) <= {*expected, "<unk>"}:
                raise Fault("the tokens differ")
        elif len(expected) != len(found) or any(b not in (a, "<unk>") for a, b in zip(expected, found)):
            raise Fault(f"the tokens differ: {len(found)} read, {len(expected)} in the file")

    return check


def _case(path: Path, settings: dict[str, Any], check: Callable[[Any], None] = lambda read: None) -> Case:
    words = ["data", "describe", str(path), "--json"]
    for name, value in settings.items():
        words += ["--set", f"data.{name}={value}"]
    if "split" in settings:
        words[words.index("data.split=random")] = "data.split.type=random"
    return Case(lambda: farzi.load_text(path, **settings), check, words)


def word_list(rng: random.Random, folder: Path) -> Case:
    """A text with a list of words, damaged in half of the cases."""
    path, listed = folder / "text.txt", folder / "list.txt"
    path.write_text(made(rng))
    data = "\n".join(rng.sample(WORDS, 6)).encode()
    listed.write_bytes(damaged(data, rng) if rng.random() < 0.5 else data)
    return _case(path, {"tokens": rng.choice(["words", "spaces"]), "vocabulary_file": str(listed)})


def tokenizer(rng: random.Random, folder: Path) -> Case:
    """A text with a `tokenizer.json` that lacks tokens, has odd ones, or is damaged."""
    vocabulary = dict.fromkeys(rng.sample(["[UNK]", "[SEP]", "</s>", *WORDS, *"abcdelr", *LIKED], 14))
    index = {word: number for number, word in enumerate(vocabulary)}
    unknown = rng.choice([None, "[UNK]"])
    own: dict[str, Any] = {} if unknown is None else {"unk_token": unknown}
    model = rng.choice(
        [
            lambda: models.WordLevel(index, **own),
            lambda: models.WordPiece(index, **own),
            lambda: models.BPE(index, [], **own),
            lambda: models.Unigram([(word, -1.0 - k) for word, k in index.items()], rng.choice([None, 0])),
        ]
    )
    made_tokenizer = tokenizers.Tokenizer(model())
    if rng.random() < 0.8:
        splits = [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(), pre_tokenizers.Metaspace()]
        made_tokenizer.pre_tokenizer = rng.choice(splits)
    content, fate = made_tokenizer.to_str(), rng.random()
    if fate < 0.3:
        content = json.dumps(changed_value(json.loads(content), rng))
    path, file = folder / "text.txt", folder / "tokenizer.json"
    path.write_text(made(rng))
    file.write_bytes(damaged(content.encode(), rng) if fate > 0.8 else content.encode("utf-8", "replace"))
    return _case(path, {"tokens": "subwords", "vocabulary_file": str(file)})


def folder_of_texts(rng: random.Random, folder: Path) -> Case:
    """A folder with files by part and others."""
    place = folder / "texts"
    place.mkdir()
    names = [
        "a.train.txt",
        "a.valid.txt",
        "a.test.txt",
        "README.md",
        "README.txt",
        "b.txt",
        "train.tokens",
        "x.csv",
    ]
    chosen = rng.sample(names, rng.randrange(1, 7))
    for name in chosen:
        data = made(rng).encode()
        (place / name).write_bytes(damaged(data, rng) if rng.random() < 0.1 else data)

    def check(read: Any) -> None:
        separate = read.facts["split"]["rule"] == "by separate files"
        if {"a.train.txt", "a.valid.txt", "a.test.txt"} <= set(chosen) and not separate:
            raise Fault(f"the parts are not those of {chosen}")

    return _case(place, {"tokens": "spaces"}, check)


FORMATS: dict[str, Callable[[random.Random, Path], Case]] = {
    "text": text,
    "list of words": word_list,
    "tokenizer": tokenizer,
    "folder of texts": folder_of_texts,
}
