"""Share of VidSTG's sentences in which `find_subject` names the annotated target.

    python -m benchmarks.subject_finder ANNOTATIONS.json [--show-misses 20] [--sample 10]

ANNOTATIONS.json is a file of VidSTG's `sent_annos` directory. A declarative sentence counts as covered when the phrase
names the category of its target: "strict" by the category's own word(s) or their plural ("ball" or "sports ball" for
`ball/sports_ball`), "synonyms" also by a word of `SYNONYMS`. Even and odd entries are reported separately, because the
grammar was developed on the even ones. Questions name no target; for them only the phrases are counted.
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import random
import re
import time

from stvg_jax.data_pipeline.language.subject import MAX_WORDS, find_subject

SYNONYMS = {
    "adult": "man woman men women person people lady gentleman guy girl boy player singer",
    "child": "boy girl kid children toddler",
    "baby": "infant toddler babies",
    "dog": "puppy",
    "cat": "kitten",
    "cattle/cow": "bull calf",
    "sheep/goat": "lamb",
    "hamster/rat": "mouse",
    "sofa": "couch",
    "table": "desk",
    "bicycle": "bike",
    "motorcycle": "motorbike",
    "cellphone": "phone",
    "screen/monitor": "television tv",
    "watercraft": "boat ship canoe kayak",
    "aircraft": "plane airplane helicopter",
    "handbag": "bag",
    "fruits": "fruit apple banana strawberry",
    "vegetables": "vegetable",
    "dish": "plate bowl",
    "cup": "mug glass",
    "electric_fan": "fan",
    "ball/sports_ball": "football basketball",
    "refrigerator": "fridge",
    "ski": "skis skiing",
    "baby_walker": "walker",
    "baby_seat": "seat",
}


def names_category(phrase: str, category: str, synonyms: bool) -> bool:
    """True if `phrase` contains a name of the category, or a synonym if these count, as whole words."""
    names = [name.replace("_", " ") for name in category.split("/")]
    if synonyms:
        names += SYNONYMS.get(category, "").split()
    text = phrase.lower().replace("/", " ")
    return any(re.search(rf"\b{re.escape(name)}(s|es)?\b", text) for name in names)


def read_sentences(path: pathlib.Path, key: str) -> list[tuple[int, str, str]]:
    """(entry number, sentence, category of its target) for each of the file's "captions" or "questions"."""
    rows = []
    for number, entry in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        categories = {thing["tid"]: thing["category"] for thing in entry["subject/objects"]}
        rows += [(number, item["description"], categories[item["target_id"]]) for item in entry[key]]
    return rows


def _print_coverage(rows: list[tuple[str, str, str]], name: str) -> None:
    def share(synonyms: bool) -> str:
        covered = sum(names_category(phrase, category, synonyms) for _, phrase, category in rows)
        return f"{100 * covered / max(len(rows), 1):6.2f} % ({covered}/{len(rows)})"

    print(f"{name:<8} strict {share(False)}   synonyms {share(True)}")


def _print_lengths(phrases: list[str], name: str) -> None:
    lengths = collections.Counter(len(phrase.split()) for phrase in phrases)
    table = "  ".join(f"{n}: {100 * lengths[n] / max(len(phrases), 1):.1f} %" for n in range(1, MAX_WORDS + 1))
    print(f"words per phrase ({name}): {table}; longest {max(lengths, default=0)}")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=pathlib.Path)
    parser.add_argument(
        "--show-misses", type=int, default=0, metavar="N", help="print N sentences that are not covered"
    )
    parser.add_argument("--sample", type=int, default=10, metavar="N", help="print N random sentences")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)

    declarative = read_sentences(args.annotations, "captions")
    began = time.perf_counter()
    phrases = [find_subject(sentence) for _, sentence, _ in declarative]
    seconds = time.perf_counter() - began
    found = [(s, phrase, category) for (_, s, category), phrase in zip(declarative, phrases, strict=True)]
    even = [row for row, (number, _, _) in zip(found, declarative, strict=True) if number % 2 == 0]
    odd = [row for row, (number, _, _) in zip(found, declarative, strict=True) if number % 2 == 1]
    for rows, name in ((even, "even"), (odd, "odd"), (found, "all")):
        _print_coverage(rows, name)
    _print_lengths(phrases, "declarative")
    print(f"{1e6 * seconds / max(len(phrases), 1):.0f} us per sentence")

    questions = [find_subject(sentence) for _, sentence, _ in read_sentences(args.annotations, "questions")]
    _print_lengths(questions, "interrogative")
    print("interrogative:", dict(collections.Counter(q.lower() for q in questions).most_common(8)))

    generator = random.Random(args.seed)
    for sentence, phrase, _ in generator.sample(found, min(args.sample, len(found))):
        print(f"  {phrase!r:45} {sentence}")
    misses = [row for row in found if not names_category(row[1], row[2], synonyms=True)]
    for sentence, phrase, category in misses[: args.show_misses]:
        print(f"  MISS {category}: {phrase!r} in {sentence!r}")


if __name__ == "__main__":
    main()
