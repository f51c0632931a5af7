"""Prints what PubMed XML files hold, one JSON object a line, read with lxml.

An independent statement of the rules by which a citation becomes a text:

* text = title, one space, abstract, always, even if one of them is empty;
* the abstract is its AbstractText segments in order, joined by one space, each with "Label: " in front where it has a
  Label; segments without text are left out;
* markup is dropped and its text kept; comments and processing instructions are not text;
* a run of XML white space that contains a line break becomes one space, and the ends of the title and of each segment
  are trimmed of XML white space; nothing else is normalised;
* a book without an ArticleTitle has its BookTitle.

usage: python pubmed_text.py FILE...   (plain or gzip; needs lxml)

    {"file", "kind": "citation", "pmid", "version", "title", "abstract", "text", "labels", "categories", "journal",
     "languages", "year", "revised" (days since 1970-01-01)}
    {"file", "kind": "deletion", "pmid", "version"}
    {"file", "kind": "reject", "reason"}
    {"file", "kind": "unreadable", "why"}
"""

import gzip
import json
import re
import sys
from datetime import date

from lxml import etree

LINE_BREAK_RUN = re.compile(r"[ \t]*[\r\n][ \t\r\n]*")
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
XML_SPACE = " \t\r\n"


def clean(text):
    return LINE_BREAK_RUN.sub(" ", text.strip(XML_SPACE))


def text_of(element):
    return "" if element is None else clean(element.xpath("string()"))


def attribute(element, name):
    return clean(element.get(name, "")) or None


def identity(pmid):
    return {"pmid": int(pmid.xpath("string()").strip()), "version": int(pmid.get("Version", "1"))}


def joined(segments):
    with_label = (f"{label}: {text}" if label else text for label, _, text in segments)
    return " ".join(with_label)


def revised(document):
    parts = [document.findtext(f"DateRevised/{part}") for part in ("Year", "Month", "Day")]
    if not all(parts):
        return None
    year, month, day = parts
    month = int(month) if month.isdigit() else MONTHS.index(month[:3].lower()) + 1
    return (date(int(year), month, int(day)) - date(1970, 1, 1)).days


def year_of(pub_date):
    if pub_date is None:
        return None
    words = pub_date.findtext("Year") or pub_date.findtext("MedlineDate") or ""
    found = re.search(r"(?<!\d)\d{4}(?!\d)", words)
    return int(found.group()) if found else None


def citation(document):
    if not text_of(document.find("PMID")):
        return {"kind": "reject", "reason": "missing_id"}
    book = document.tag == "BookDocument"
    article = document if book else document.find("Article")
    nothing = etree.Element("Article")
    article = nothing if article is None else article
    title = article.find("ArticleTitle")
    if title is None and book:
        title = article.find("Book/BookTitle")
    segments = [
        (attribute(segment, "Label"), attribute(segment, "NlmCategory"), text_of(segment))
        for segment in article.findall("Abstract/AbstractText")
    ]
    segments = [segment for segment in segments if segment[2]]
    title, abstract = text_of(title), joined(segments)
    return {
        "kind": "citation",
        **identity(document.find("PMID")),
        "title": title,
        "abstract": abstract,
        "text": f"{title} {abstract}",
        "labels": [label for label, _, _ in segments],
        "categories": [category for _, category, _ in segments],
        "journal": text_of(article.find("Journal/ISOAbbreviation")) or text_of(article.find("Journal/Title")) or None,
        "languages": ",".join(filter(None, map(text_of, article.findall("Language")))) or None,
        "year": year_of(article.find("Book/PubDate" if book else "Journal/JournalIssue/PubDate")),
        "revised": revised(document),
    }


def rows(path):
    with open(path, "rb") as file:
        content = file.read()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    parser = etree.XMLParser(load_dtd=False, no_network=True, huge_tree=True)
    root = etree.fromstring(content, parser)
    records = [root] if root.tag in ("PubmedArticle", "PubmedBookArticle", "MedlineCitation") else list(root)
    if not (root.tag in ("PubmedArticleSet", "PubmedBookArticleSet", "MedlineCitationSet") or records[:1] == [root]):
        yield {"kind": "unreadable", "why": f"root element {root.tag}"}
        return
    for record in records:
        if record.tag in ("DeleteCitation", "DeleteDocument"):
            for pmid in record.findall("PMID"):
                yield {"kind": "deletion", **identity(pmid)}
        elif record.tag == "MedlineCitation":
            yield citation(record)
        elif isinstance(record.tag, str):
            document = record.find("MedlineCitation")
            yield citation(record.find("BookDocument") if document is None else document)


def main():
    for path in sys.argv[1:]:
        try:
            for row in rows(path):
                print(json.dumps({"file": path, **row}, ensure_ascii=False))
        except (etree.XMLSyntaxError, OSError, EOFError) as error:
            print(json.dumps({"file": path, "kind": "unreadable", "why": str(error)}))


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    main()
