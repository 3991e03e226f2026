#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""amalgamate.py --generated DIR --out DIR - the core as two files: healthtel.c and healthtel.h.

For firmware whose build is easier to give two files than a library:

    cc -std=c11 -c healthtel.c            needs nanopb's pb.h and library, and zlib where wanted

healthtel.h holds the public headers in one; they keep their guards, so that a port which includes
"healthtel/port.h" may be compiled beside it. healthtel.c holds the sources in the order of
src/sources.cmake, behind all of their headers. What a file has for itself gets the file's name in
front, macros of a file end with it, and types of a private header get another name wherever that
header is seen: so nothing means something else than it does alone. --generated is where nanopb's
healthtel.pb.c and healthtel.pb.h are (build/generated).
"""
import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PUBLIC = ("codes.h", "error.h", "port.h", "healthtel.h", "decode.h")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"[^\n]*\n', re.M)
NEEDS_ZLIB = "<zconf.h>"
# Comments and literals stay as they are; and so do members (.x, ->x).
TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|'
                   r'(?:->|\.)\s*\w+|\b[A-Za-z_]\w*', re.S)

HEAD = """/* SPDX-License-Identifier: Apache-2.0 */
/* {name} - healthtel {version}, the core in one file, made by ports/amalgamation. Not to be edited.
 * README.md and docs/ of the project say what it is. */
"""

OPTIONS = """
/* -DHEALTHTEL_BEST=1 adds the coding level BEST, -DHEALTHTEL_ZLIB=1 ZLIB (and needs zlib);
 * -DHEALTHTEL_TEXTS=0 leaves out the words for what is wrong with a configuration. */
#ifndef HEALTHTEL_BEST
#define HEALTHTEL_BEST 0
#endif
#ifndef HEALTHTEL_ZLIB
#define HEALTHTEL_ZLIB 0
#endif
#if HEALTHTEL_ZLIB
#define ZLIB_CONST
#include <zlib.h>
#endif
#if defined(__GNUC__)
#define HTEL_PERHAPS __attribute__((unused)) /* without BEST not all of these are */
#else
#define HTEL_PERHAPS
#endif
"""


def fail(text):
    print(f"amalgamate: {text}", file=sys.stderr)
    sys.exit(1)


def sources():
    text = (ROOT / "src/sources.cmake").read_text(encoding="utf-8")
    listed = re.search(r"set\(HEALTHTEL_SOURCE_NAMES\n(.*?)\)", text, re.S)
    if not listed:
        fail("src/sources.cmake has no HEALTHTEL_SOURCE_NAMES")
    return re.sub(r"#[^\n]*", "", listed.group(1)).split()


def without_licence(text):
    return re.sub(r"\A/\* SPDX[^\n]*\n", "", text)


def headers_in_order(folder):
    """The private headers, each behind those that it includes."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.h"))}
    order = []

    def visit(name):
        for other in INCLUDE.findall(texts[name]):
            if other in texts and other not in order:
                visit(other)
        if name not in order:
            order.append(name)

    for name in texts:
        visit(name)
    return [(name, texts[name]) for name in order]


def blank_out(text):
    """The text without comments and literals, to look for declarations."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"', " ", text, flags=re.S)


def macros(text):
    found = set(re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", text, re.M))
    return {name for name in found if name != "ZLIB_CONST" and not name.startswith("HEALTHTEL_")}


def types(text):
    text = blank_out(text)
    names = set(re.findall(r"^typedef (?:struct|union|enum) (\w+)", text, re.M))
    names |= set(re.findall(r"^\} (\w+);", text, re.M))
    names |= set(re.findall(r"^typedef [^{};]*?\b(\w+)(?:\[[^\]]*\])?;", text, re.M))
    names |= set(re.findall(r"^typedef \w+ \(\*(\w+)\)", text, re.M))
    return {name for name in names if not name.startswith("htel")}


def own_names(text):
    """What a source file declares for itself, beside macros."""
    text = blank_out(text)
    names = set(re.findall(r"^static\b[^;{}()=\[]*?\b(\w+)\s*[(\[=;]", text, re.M))
    for body in re.findall(r"^(?:static |typedef )?enum\b[^{;]*\{(.*?)\}", text, re.S | re.M):
        names |= set(re.findall(r"(?:^|,)\s*(\w+)", body))
    return names | types(text)


def struct_spans(text):
    """Where the bodies of structs are."""
    spans = []
    for start in re.finditer(r"\b(?:struct|union)\b[ \w]*\{", text):
        depth, at = 1, start.end()
        while depth > 0 and at < len(text):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        spans.append((start.end(), at))
    return spans


def renamed(text, names):
    spans = struct_spans(text)

    def replace(match):
        token, at = match.group(0), match.start()
        if token not in names:
            return token
        ends = re.compile(r"\s*[;,\[:]").match(text, match.end())
        member = ends and re.search(r"[\w*,] ?$", text[max(0, at - 2):at])
        if member and any(begin <= at < end for begin, end in spans):
            return token
        return names[token]

    return TOKEN.sub(replace, text)


class Headers:
    """The private headers: their order, and whose types are seen where."""

    def __init__(self, folder):
        self.texts = dict(headers_in_order(folder))

    def seen(self, text):
        found, todo = set(), [name for name in INCLUDE.findall(text) if name in self.texts]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += [other for other in INCLUDE.findall(self.texts[name])
                         if other in self.texts]
        return found

    def names(self, text):
        """{type: its new name} of all headers that the text includes."""
        return {name: f"htel_in_{name}" for header in self.seen(text)
                for name in types(self.texts[header])}

    def body(self, name):
        text = self.texts[name]
        names = self.names(f'#include "{name}"\n')
        text = renamed(INCLUDE.sub("", without_licence(text)), names)
        return text.replace("static inline ", "static inline HTEL_PERHAPS ")


def public_header(version):
    parts = [HEAD.format(name="healthtel.h", version=version)]
    for name in PUBLIC:
        text = (ROOT / "include/healthtel" / name).read_text(encoding="utf-8")
        for other in INCLUDE.findall(text):
            if other.removeprefix("healthtel/") not in PUBLIC[:PUBLIC.index(name)]:
                fail(f"{name} includes {other}, which does not come before it")
        parts.append(f"\n/* ---- {name} */\n\n" + INCLUDE.sub("", without_licence(text)))
    return "".join(parts)


def private_source(version, generated):
    parts = [HEAD.format(name="healthtel.c", version=version)]
    parts += ['\n#include "healthtel.h"\n', OPTIONS]
    generated_texts = {name: (generated / name).read_text(encoding="utf-8")
                       for name in ("healthtel.pb.h", "healthtel.pb.c")}
    headers = Headers(ROOT / "src")
    parts.append("\n/* ---- healthtel.pb.h: by nanopb */\n\n" +
                 INCLUDE.sub("", generated_texts["healthtel.pb.h"]))
    for name in headers.texts:
        body = headers.body(name)
        if NEEDS_ZLIB in body:
            body = f"#if HEALTHTEL_ZLIB\n{body}#endif\n"
        parts.append(f"\n/* ---- {name} */\n\n{body}")

    known = set(headers.texts) | set(generated_texts) | {f"healthtel/{name}" for name in PUBLIC}
    for name in sources():
        text = (ROOT / "src" / name).read_text(encoding="utf-8")
        for other in INCLUDE.findall(text):
            if other not in known:
                fail(f"src/{name} includes {other}, which is nowhere")
        names = headers.names(text)
        names.update({own: f"{name.removesuffix('.c')}_c_{own}" for own in own_names(text)})
        body = renamed(INCLUDE.sub("", without_licence(text)), names)
        ends = "".join(f"#undef {macro}\n" for macro in sorted(macros(text)))
        parts.append(f"\n/* ---- {name} */\n\n{body}{ends}")
    parts.append("\n/* ---- healthtel.pb.c: by nanopb */\n\n" +
                 INCLUDE.sub("", generated_texts["healthtel.pb.c"]))
    return "".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generated", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    version = re.search(r'HTEL_VERSION "([^"]+)"',
                        (ROOT / "include/healthtel/healthtel.h").read_text(encoding="utf-8"))
    if not version:
        fail("healthtel.h has no HTEL_VERSION")
    made = {"healthtel.h": public_header(version.group(1)),
            "healthtel.c": private_source(version.group(1), arguments.generated)}
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        text = re.sub(r"\n{3,}", "\n\n", text)
        (arguments.out / name).write_text(text, encoding="utf-8")
        print(f"amalgamate: {arguments.out / name}, {text.count(chr(10)):,} lines")


if __name__ == "__main__":
    main()
