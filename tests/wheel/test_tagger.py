"""`pubtag.Tagger`: what it finds, what it takes and gives, and how it fails."""

import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time

import duckdb
import pandas
import polars
import pyarrow as pa
import pytest

import pubtag
from conftest import FIELDS, made

TEXTS = ["Huntington disease (HD) is rare. HD is inherited.", "Nothing to see.", None, "Gout and β-thalassemia."]
MENTIONS = [["Huntington disease", "HD", "HD"], [], None, ["Gout", "β-thalassemia"]]


def table():
    return pa.table({"text": TEXTS, "n": [1, 2, 3, 4]})


def by_row(tagged):
    """The mentions of each row of a tagged table, as texts."""
    lists = tagged.column("annotations").to_pylist()
    return [mentions if mentions is None else [mention["mention"] for mention in mentions] for mentions in lists]


def test_mentions_are_those_of_a_run(tagger, documents, of_a_run):
    tagged = pa.table(tagger.tag(documents))
    assert tagged.drop_columns(["annotations"]) == documents
    found = dict(zip(tagged.column("id").to_pylist(), tagged.column("annotations").to_pylist()))
    assert sum(map(len, of_a_run.values())) > 500
    assert any(mention["source"] == "abbreviation" for mentions in of_a_run.values() for mention in mentions)
    for doc_id, mentions in found.items():
        assert (mentions or []) == of_a_run.get(doc_id, []), doc_id
    # Title and abstract are both null.
    assert [doc_id for doc_id, mentions in found.items() if mentions is None] == ["d6"]


def test_batches_of_any_size_make_no_difference(tagger, documents):
    whole = pa.table(tagger.tag(documents.slice(0, 70)))
    for size in (1, 7, 65):
        batches = documents.slice(0, 70).to_batches(max_chunksize=size)
        tagged = pa.table(tagger.tag(iter(batches)))
        assert tagged == whole
        assert tagged.column("id").num_chunks == len(batches)


def test_offsets_count_characters_and_bytes(tagger, documents):
    rows = pa.table(tagger.tag(documents.slice(0, 100))).to_pylist()
    for row in rows:
        text = f"{row['title'] or ''} {row['abstract'] or ''}"
        for mention in row["annotations"] or []:
            assert text[mention["start_char"]:mention["end_char"]] == mention["mention"]
            assert text.encode()[mention["start_byte"]:mention["end_byte"]].decode() == mention["mention"]


def test_a_text_without_a_title_has_its_own_offsets(tagger):
    for row in pa.table(tagger.tag(table())).to_pylist():
        for mention in row["annotations"] or []:
            assert row["text"][mention["start_char"]:mention["end_char"]] == mention["mention"]


def test_a_mention_has_the_columns_of_the_output_table(tagger, tmp_path):
    program = os.environ["PUBTAG_PROGRAM"]
    page = subprocess.run([program, "schema"], check=True, capture_output=True, text=True).stdout
    section = page.split("## `annotations`")[1].split("##")[0]
    documented = {cells[2].strip(" `"): cells[3].strip() for cells in
                  (line.split("|") for line in section.splitlines() if line.startswith("| ")) if cells[1].strip().isdigit()}
    mention = pa.table(tagger.tag(table())).schema.field("annotations").type.value_type
    names = {"string": "Utf8", "int32": "Int32", "float": "Float32"}
    assert [field.name for field in mention] == FIELDS
    for field in mention:
        assert documented[field.name] == names[str(field.type)], field


def test_any_arrow_data_is_taken(tagger):
    arrow = table()
    large = arrow.set_column(0, "text", arrow.column("text").cast(pa.large_string()))
    categories = arrow.set_column(0, "text", arrow.column("text").dictionary_encode())
    reader = pa.RecordBatchReader.from_batches(arrow.schema, arrow.to_batches(max_chunksize=1))
    for data in (arrow, large, categories, reader, arrow.to_batches()[0], arrow.to_batches(max_chunksize=1), [arrow, arrow.slice(1, 0)],
                 polars.from_arrow(arrow), arrow.to_pandas(), duckdb.sql("from arrow")):
        assert by_row(pa.table(tagger.tag(data))) == MENTIONS, type(data)


def test_any_library_reads_the_stream(tagger):
    assert polars.DataFrame(tagger.tag(table()))["annotations"].list.len().to_list() == [3, 0, None, 2]
    assert pandas.DataFrame.from_arrow(tagger.tag(table()))["annotations"].str.len().tolist()[:2] == [3, 0]
    stream = pa.RecordBatchReader.from_stream(tagger.tag(table()))
    assert duckdb.sql("select n, len(annotations) from stream").fetchall() == [(1, 3), (2, 0), (3, None), (4, 2)]


def test_exploded_there_is_a_row_per_mention(tagger, documents):
    documents = documents.slice(0, 100)
    lists = pa.table(tagger.tag(documents))
    rows = pa.table(tagger.tag(documents, explode=True))
    assert rows.column_names == documents.column_names + FIELDS
    expected = [{**row, **mention} for row in lists.to_pylist() for mention in row.pop("annotations") or []]
    assert rows.to_pylist() == expected
    assert max(batch.num_rows for batch in rows.to_batches()) <= 1024 < rows.num_rows


def test_columns_are_chosen_by_name(tagger):
    data = pa.table({"title": ["Familial gout is rare."], "text": ["Hereditary ataxia is rare."], "note": ["Myopia and gout."]})
    assert by_row(pa.table(tagger.tag(data))) == [["Familial gout", "Hereditary ataxia"]]
    assert by_row(pa.table(tagger.tag(data, text="note"))) == [["Myopia", "gout"]]
    assert by_row(pa.table(tagger.tag(data, title="title"))) == [["Familial gout"]]
    assert pa.table(tagger.tag(data, column="found")).column_names[-1] == "found"


def test_arguments_that_do_not_fit_are_explained(tagger):
    data = table()
    cases = [
        (dict(text="body"), "no column \"body\"; columns are text, n"),
        (dict(text="n"), "column \"n\" has type Int64"),
        (dict(column="n"), "already has a column \"n\""),
    ]
    for arguments, words in cases:
        with pytest.raises(pubtag.UsageError, match=words) as error:
            tagger.tag(data, **arguments)
        assert isinstance(error.value, ValueError) and error.value.exit_code == 2
    with pytest.raises(pubtag.UsageError, match="score"):
        tagger.tag(data.append_column("score", [[0, 0, 0, 0]]), explode=True)
    with pytest.raises(pubtag.UsageError, match="text="):
        tagger.tag(data.select(["n"]))
    for data in ("a text", ["a text"], 3, pa.array([1])):
        with pytest.raises((TypeError, ValueError)):
            tagger.tag(data)


def test_errors_are_exceptions_with_the_programs_messages(tmp_path):
    with pytest.raises(pubtag.UsageError, match="'int9'.*int8"):
        pubtag.Tagger(precision="int9")
    with pytest.raises(pubtag.UsageError, match="--threads"):
        pubtag.Tagger(threads=0)
    missing = pubtag.Tagger(tmp_path)
    with pytest.raises(pubtag.ConfigurationError, match="config.json is missing") as error:
        missing.tag(table())
    assert error.value.exit_code == 78 and isinstance(error.value, pubtag.PubtagError)


def test_a_stream_is_read_once(tagger):
    stream = tagger.tag(table())
    pa.table(stream)
    with pytest.raises(pubtag.UsageError, match="has been read"):
        pa.table(stream)


def test_no_rows_are_no_rows(tagger):
    assert pa.table(tagger.tag(table().slice(0, 0))).num_rows == 0
    assert pa.table(tagger.tag(iter([]))).num_rows == 0
    assert pa.table(tagger.tag(table().slice(1, 2), explode=True)).num_rows == 0


def test_an_exception_of_the_input_ends_the_stream(tagger):
    def batches():
        yield table()
        raise RuntimeError("the lake is dry")

    with pytest.raises(Exception, match="the lake is dry"):
        pa.table(tagger.tag(batches()))
    other = pa.table({"text": ["Gout."]})
    with pytest.raises(Exception, match="other columns than the first"):
        pa.table(tagger.tag([table(), other]))


def test_strings_that_are_not_utf8_are_an_error(tagger):
    offsets, values = pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")
    broken = pa.Array.from_buffers(pa.string(), 1, [None, offsets, values])
    with pytest.raises(Exception, match="(?i)utf"):
        pa.table(tagger.tag(pa.table({"text": broken})))


def test_an_endless_input_is_read_no_further_than_needed(tagger):
    taken = 0

    def batches():
        nonlocal taken
        while True:
            taken += 1
            yield pa.record_batch({"text": [" ".join(made(taken)[1:]) * 20] * 16})

    reader = pa.RecordBatchReader.from_stream(tagger.tag(batches()))
    for _ in range(3):
        reader.read_next_batch()
    assert taken < 100
    del reader
    gc.collect()


def test_other_threads_run_meanwhile(tagger):
    counted, stop = 0, threading.Event()

    def count():
        nonlocal counted
        while not stop.is_set():
            counted += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    started = time.monotonic()
    pa.table(tagger.tag(pa.table({"text": [made(number)[1] for number in range(400)]})))
    took = time.monotonic() - started
    stop.set()
    thread.join()
    assert counted > took * 20, (counted, took)


def test_threads_share_a_tagger(tagger, documents):
    expected = pa.table(tagger.tag(documents.slice(20, 60)))
    found = [None] * 3

    def tag(number):
        found[number] = pa.table(tagger.tag(documents.slice(20, 60)))

    threads = [threading.Thread(target=tag, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 3


def forked(work):
    """Does work in a fork of this process; fails if it does, or if it hangs."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(120)
    if process.exitcode is None:
        process.kill()
    assert process.exitcode == 0


def check(tagger):
    assert by_row(pa.table(tagger.tag(table()))) == MENTIONS


def test_a_tagger_works_in_forks_before_and_after_its_first_use():
    tagger = pubtag.Tagger(device="cpu", precision="int8", threads=1)
    forked(lambda: check(tagger))
    check(tagger)
    forked(lambda: check(tagger))
    check(tagger)


def test_a_stream_does_not_follow_into_a_fork(tagger):
    stream = tagger.tag(table())

    def read():
        with pytest.raises(Exception, match="another process"):
            pa.table(stream)

    forked(read)


def test_forks_drop_the_streams_of_a_busy_tagger(tagger):
    """A lock that one of its threads holds while the process forks stays locked in the fork."""
    busy, texts = True, pa.table({"abstract": ["Ataxia telangiectasia is a rare disease. "] * 64})

    def read():
        while busy:
            pa.table(tagger.tag(texts))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            streams = [tagger.tag(texts) for _ in range(4)]
            forked(streams.clear)
    finally:
        busy = False
        for thread in threads:
            thread.join()


def test_a_pickled_tagger_has_the_same_arguments(tmp_path):
    tagger = pubtag.Tagger(str(tmp_path), device="cpu", precision="bf16", threads=3, context=50)
    copy = pickle.loads(pickle.dumps(tagger))
    assert repr(copy) == repr(tagger)
    assert "threads=\"3\"" in repr(tagger)


def test_the_bundled_model_says_what_it_is(tagger):
    assert tagger.labels == ["Disease"]
    assert tagger.model_id.startswith("pubtag-disease@")


ENDLESS = textwrap.dedent("""
    import pyarrow as pa, pubtag
    def batches():
        while True:
            yield pa.record_batch({"text": ["Gout and ataxia. " * 50] * 16})
            print("tagging", flush=True)
    for batch in pa.RecordBatchReader.from_stream(pubtag.Tagger(device="cpu").tag(batches())):
        pass
""")

STUCK = textwrap.dedent("""
    import pyarrow as pa, pubtag
    texts = ["Gout and ataxia were seen in many patients, again and again. " * 20000] * 4
    print("tagging", flush=True)
    pa.table(pubtag.Tagger(device="cpu", threads=1).tag(pa.table({"text": texts})))
""")


@pytest.mark.parametrize("script", [ENDLESS, STUCK], ids=["between batches", "within a batch"])
def test_ctrl_c_ends_it(script):
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    # A traceback ends a script with 1, and one of KeyboardInterrupt itself as the signal does.
    assert process.returncode in (1, -signal.SIGINT), (out, errors)
    assert "KeyboardInterrupt" in errors.rstrip().splitlines()[-1], errors
