"""Retrieval sets that anybody has: two from the documentation of the Python that runs this, one of the sample vault.

    titles       the first line of a docstring asks for the rest of it
    functions    the first line of a docstring asks for the source of the function, its docstring left out
    paraphrases  questions to sample-vault/ that share no word with the memory that answers (tests/paraphrases.toml)

The memories of the first two are of one source, in random order, as if an agent had brought them in: they have nothing
to lend each other, which recall has to find out. Python's library is not imported: its source is parsed. Another
version of it makes other sets, so figures are compared within one.
"""

from __future__ import annotations

import ast
import json
import random
import sysconfig
import textwrap
import tomllib
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from mesh import codec
from mesh.evaluation.questions import Question, QuestionSet

ROOT = Path(__file__).parent.parent
SKIPPED = {"test", "tests", "idlelib", "idle_test", "lib2to3", "turtledemo", "site-packages", "dist-packages"}
LEAST_QUESTION, LEAST_ANSWER, MOST_ANSWER = 15, 80, 1000  # characters
MOST_MEMORIES = 2000
Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def paraphrases() -> QuestionSet:
    """Hard questions that have an answer: nothing but their meaning leads to it."""
    vault, path = ROOT / "sample-vault", ROOT / "tests" / "paraphrases.toml"
    cases = tomllib.loads(path.read_text("utf-8"))
    found = QuestionSet(str(path))
    for number, case in enumerate([*cases["question"], *cases["long"]], 1):
        found.questions.append(Question(number, case["ask"], (case["finds"],), case["namespace"]))
    for file in sorted(vault.rglob("*.md")):
        name = file.relative_to(vault).as_posix()
        memory = codec.read(file.read_bytes(), name)
        found.memories.setdefault(name.partition("/")[0], {})[name] = memory
    return found


def write_sets(folder: Path, seed: int = 3) -> list[Path]:
    """Write both sets as collections that `mesh eval` reads, their questions in random order."""
    written = []
    for name, pairs in (("titles", _titles()), ("functions", _functions())):
        chosen = _chosen(pairs, random.Random(seed))
        memories = [
            {"t": "m", "ns": name, "id": str(number), "text": answer, "session": 1, "speaker": "agent"}
            for number, (_, answer) in enumerate(chosen)
        ]
        questions = [
            {"t": "q", "ns": name, "q": question, "ev": [str(number)]} for number, (question, _) in enumerate(chosen)
        ]
        written.append(folder / f"{name}.jsonl")
        written[-1].write_text("".join(json.dumps(row) + "\n" for row in [*memories, *questions]))
    return written


def _chosen(pairs: Iterable[tuple[str, str]], pick: random.Random) -> list[tuple[str, str]]:
    """Some of the pairs: one question for each text, and one text for each question."""
    texts = {answer: question for question, answer in dict(pairs).items()}
    every = [(question, answer) for answer, question in texts.items()]
    return pick.sample(every, min(MOST_MEMORIES, len(every)))


def _titles() -> Iterator[tuple[str, str]]:
    for _, node in _documented():
        first, _, rest = (ast.get_docstring(node) or "").partition("\n")
        if len(first) >= LEAST_QUESTION and len(rest.strip()) >= LEAST_ANSWER:
            yield first.strip(), rest.strip()[:MOST_ANSWER]


def _functions() -> Iterator[tuple[str, str]]:
    for lines, node in _documented():
        first = (ast.get_docstring(node) or "").partition("\n")[0].strip()
        if isinstance(node, ast.ClassDef) or len(first) < LEAST_QUESTION or len(node.body) < 2:
            continue
        docstring, last = node.body[0], node.body[-1]
        kept = lines[node.lineno - 1 : docstring.lineno - 1] + lines[docstring.end_lineno or 0 : last.end_lineno]
        source = textwrap.dedent("".join(kept)).strip()
        if len(source) >= LEAST_ANSWER:
            yield first, source[:MOST_ANSWER]


def _documented() -> Iterator[tuple[list[str], Documented]]:
    """The lines of a file, and everything in it that has a docstring."""
    top = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(top.rglob("*.py")):
        if SKIPPED.isdisjoint(path.relative_to(top).parts):
            text = path.read_text("utf-8", errors="replace")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what the library's own escapes give rise to
                tree = ast.parse(text)
            for node in ast.walk(tree):
                if isinstance(node, Documented) and ast.get_docstring(node):
                    yield text.splitlines(keepends=True), node
