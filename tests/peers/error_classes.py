"""Sorts the errors of a tagger into classes, each with examples in context.

A mention is `(document, start, end, type)`. Every error belongs to the first class that fits:

boundary      a mention found overlaps a gold mention of its type with other boundaries (one error, not two)
type          a mention found has the boundaries of a gold mention of another type
abbreviation  a missed or spurious mention whose text is a short form: one word of at most ten characters with two or more capitals
composite     a missed mention that combines several names ("breast and ovarian cancer")
unseen        a missed mention whose text, ignoring case, is not a mention in the training corpora
missed        any other missed mention
spurious      any other mention found
"""
import collections
import re

CLASSES = ["boundary", "type", "abbreviation", "composite", "unseen", "missed", "spurious"]
COMPOSITE = re.compile(r"\b(and|or)\b|[,/]")
CONTEXT = 50


def is_short_form(text):
    return " " not in text and len(text) <= 10 and sum(letter.isupper() for letter in text) >= 2


def overlaps(mention, others):
    return [other for other in others if other[1] < mention[2] and mention[1] < other[2]]


def missed_class(text, seen):
    if is_short_form(text):
        return "abbreviation"
    if COMPOSITE.search(text):
        return "composite"
    return "missed" if text.lower() in seen else "unseen"


def classify(gold, found, texts, seen):
    """Lists of `(gold mention or None, found mention or None)` by class; `seen` holds the lower-case training mentions."""
    classes = {name: [] for name in CLASSES}
    by_document = collections.defaultdict(lambda: (set(), set()))
    for mention in gold - found:
        by_document[mention[0]][0].add(mention)
    for mention in found - gold:
        by_document[mention[0]][1].add(mention)
    for document, (missed, spurious) in sorted(by_document.items()):
        text = texts[document]["title"] + "\n" + texts[document]["abstract"]
        for mention in sorted(spurious):
            touched = overlaps(mention, sorted(missed))
            same_type = [other for other in touched if other[3] == mention[3]]
            same_place = [other for other in touched if other[1:3] == mention[1:3]]
            if same_type or same_place:
                other = (same_type or same_place)[0]
                missed.remove(other)
                classes["boundary" if same_type else "type"].append((other, mention))
            elif is_short_form(text[mention[1]:mention[2]]):
                classes["abbreviation"].append((None, mention))
            else:
                classes["spurious"].append((None, mention))
        for mention in sorted(missed):
            classes[missed_class(text[mention[1]:mention[2]], seen)].append((mention, None))
    return classes


def in_context(text, mention):
    """The mention in brackets, with some text on both sides."""
    _, start, end, kind = mention
    before, after = text[max(start - CONTEXT, 0):start], text[end:end + CONTEXT]
    return f"…{before}[{text[start:end]}]{kind}{after}…".replace("\n", " ")


def report(classes, texts, examples):
    """Lines: the count of each class, and its first examples, spread evenly over the documents."""
    total = sum(map(len, classes.values()))
    for name, errors in classes.items():
        yield f"{name}: {len(errors)} of {total} errors"
        step = max(len(errors) // max(examples, 1), 1)
        for gold, found in errors[::step][:examples]:
            document = (gold or found)[0]
            text = texts[document]["title"] + "\n" + texts[document]["abstract"]
            for side, mention in (("gold ", gold), ("found", found)):
                if mention:
                    yield f"  {document} {side} {in_context(text, mention)}"
