"""The grammar of media in a line, case by case: the tests run this table, and docs/chat-names.md shows it.

``python -m tests.media.mention_table --write`` puts the table into the page.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mistralrs_cli.media.candidates import Sight
from mistralrs_cli.media.lookup import folded
from mistralrs_cli.media.mentions import Note, Problem, Reading
from mistralrs_cli.messages import MediaRef, Text, TextFile

PAGE = Path(__file__).resolve().parents[2] / "docs" / "chat-names.md"
BEGIN, END = "<!-- cases -->\n", "<!-- end of cases -->"

PICTURES = (
    "photo.jpg photos/photo.jpg a.jpg b.jpg PHOTO.JPG ./a.jpg ../a.jpg ~/pics/cat.png /pics/cat.png x.heic x.tiff "
    "a,b.jpg wow!.png .hidden.png résumé.png 猫.png image.bin Straße/bild.png c.JPEG a=b.png #1.png plot.svg.png "
    "/mnt/c/pics/a.png /mnt/d/Eigene/b.png /home/u/c.png photo.jpg.png -x.png scan/IMG_1 ~u/x.png "
    "//server/share/a.png 1.png 50%.png a%20b.png @home.png v1.2/out.png"
)
WORLD: dict[str, Sight] = {
    **dict.fromkeys(PICTURES.split(), "image"),
    "My Photo.jpg": "image",
    "a b(1).png": "image",
    "/home/u/a b.jpg": "image",
    "~/My Pics/cat 1.png": "image",
    "it's here.png": "image",
    "[draft] cover (2).png": "image",
    "Screenshot 2025-01-01 at 9.41.00\u202fAM.png": "image",
    "C:\\here\\a.png": "image",
    "x.m4a": "audio",
    "talk.ogg": "audio",
    "clip.gif": "video",
    "clip.mp4": "video",
    "my clip.webm": "video",
    "film.ts": "video",
    "notes.txt": "text",
    "my notes.txt": "text",
    "src/main.py": "text",
    "Makefile": "text",
    "letter.doc": "other",
    "report.pdf": "image",
    **dict.fromkeys(("report.pdf#page=2", "report.pdf#page=2-4,7", "report.pdf#page=3-"), "image"),
    "main.ts": "text",
    "page.jpg": "other",
    "my page.png": "other",
    "/etc/passwd": "other",
    "/clear": "other",
    "https://h/picture": "image",
    "https://h/article": "other",
    "https://h/gone": "unreachable",
    "Screenshot 2026-02-03 at 9.41.00\u202fPM.png": "image",
    "UP.JPG": "image",
    "Cafe\u0301.png": "image",
    "no\u00a0break.png": "image",
    "Bob\u2019s plan.png": "image",
    "\uff21\uff22.png": "image",
    "Same.JPEG": "image",
    "same.jpeg": "image",
    "Holiday/Beach.PNG": "image",
    "Two.png": "image",
    "one Two.PNG": "image",
    "folder.png": "folder",
    "./folder.png": "folder",
    "pipe.png": "special",
    "./pipe.png": "special",
    "dead.png": "dangling",
    "src/": "folder",
}


@dataclass(frozen=True)
class Case:
    """A line, and what it becomes."""

    line: str
    becomes: str


@dataclass(frozen=True)
class Section:
    """Cases about one thing."""

    title: str
    cases: tuple[Case, ...]


def section(title: str, *cases: tuple[str, str]) -> Section:
    """A section from pairs."""
    return Section(title, tuple(Case(*case) for case in cases))


SECTIONS = (
    section(
        "Names",
        ("photo.jpg", "[image photo.jpg]"),
        ("what is in photo.jpg?", "what is in [image photo.jpg]?"),
        ("photo.jpg shows what?", "[image photo.jpg] shows what?"),
        ("compare a.jpg with b.jpg", "compare [image a.jpg] with [image b.jpg]"),
        ("./a.jpg", "[image ./a.jpg]"),
        ("is ../a.jpg older than photos/photo.jpg", "is [image ../a.jpg] older than [image photos/photo.jpg]"),
        ("describe ~/pics/cat.png", "describe [image ~/pics/cat.png]"),
        ("see ~u/x.png", "see [image ~u/x.png]"),
        ("/pics/cat.png what is this", "[image /pics/cat.png] what is this"),
        ("v1.2/out.png", "[image v1.2/out.png]"),
        (".hidden.png", "[image .hidden.png]"),
        ("-x.png", "[image -x.png]"),
        ("@photo.jpg what is it", "[image photo.jpg] what is it"),
        ("@home.png", "[image @home.png]"),
        ("a=b.png and #1.png", "[image a=b.png] and [image #1.png]"),
    ),
    section(
        "Kinds and letter case",
        ("PHOTO.JPG", "[image PHOTO.JPG]"),
        ("c.JPEG", "[image c.JPEG]"),
        ("x.heic", "[image x.heic]"),
        ("x.tiff", "[image x.tiff]"),
        ("transcribe x.m4a", "transcribe [audio x.m4a]"),
        ("who talks in talk.ogg", "who talks in [audio talk.ogg]"),
        ("clip.gif", "[video clip.gif]"),
        ("what happens in clip.mp4", "what happens in [video clip.mp4]"),
        ("my clip.webm", "[video my clip.webm]"),
        ("film.ts", "[video film.ts]"),
        ("image.bin", "[image image.bin]"),
        ("scan/IMG_1", "[image scan/IMG_1]"),
    ),
    section(
        "Spaces and signs in names",
        ("My Photo.jpg", "[image My Photo.jpg]"),
        ("describe My Photo.jpg, please", "describe [image My Photo.jpg], please"),
        ("look at ~/My Pics/cat 1.png now", "look at [image ~/My Pics/cat 1.png] now"),
        ("a b(1).png", "[image a b(1).png]"),
        ("[draft] cover (2).png", "[image [draft] cover (2).png]"),
        (
            "Screenshot 2025-01-01 at 9.41.00\u202fAM.png",
            "[image Screenshot 2025-01-01 at 9.41.00\u202fAM.png]",
        ),
        ("it's here.png", "[image it's here.png]"),
        ("wow!.png!", "[image wow!.png]!"),
        ("résumé.png", "[image résumé.png]"),
        ("Straße/bild.png", "[image Straße/bild.png]"),
        ("50%.png", "[image 50%.png]"),
        ("plot.svg.png", "[image plot.svg.png]"),
        ("photo.jpg.png", "[image photo.jpg.png]"),
    ),
    section(
        "Quotes and escapes, as terminals and desktops paste them",
        ('"~/pics/cat.png"', "[image ~/pics/cat.png]"),
        ("'My Photo.jpg' what is it", "[image My Photo.jpg] what is it"),
        ('"My Photo.jpg".', "[image My Photo.jpg]."),
        ("“My Photo.jpg”", "[image My Photo.jpg]"),
        ("«photo.jpg»", "[image photo.jpg]"),
        (r"a\ b\(1\).png", "[image a b(1).png]"),
        (r"what is in My\ Photo.jpg", "what is in [image My Photo.jpg]"),
        (r"\[draft\]\ cover\ \(2\).png ", "[image [draft] cover (2).png] "),
        (r"~/My\ Pics/cat\ 1.png", "[image ~/My Pics/cat 1.png]"),
        (r"it\'s\ here.png", "[image it's here.png]"),
        (r"'it'\''s here.png' ok?", "[image it's here.png] ok?"),
        ('~/"My Pics"/cat\\ 1.png', "[image ~/My Pics/cat 1.png]"),
        ("'/pics/cat.png' '/home/u/a b.jpg' ", "[image /pics/cat.png] [image /home/u/a b.jpg] "),
        ('he said "look at a.jpg" twice', 'he said "look at [image a.jpg]" twice'),
        ("don't crop a.jpg, it's fine", "don't crop [image a.jpg], it's fine"),
    ),
    section(
        "Signs around a name",
        ("(photo.jpg)", "([image photo.jpg])"),
        ("look at a.jpg.", "look at [image a.jpg]."),
        ("a.jpg,b.jpg", "[image a.jpg],[image b.jpg]"),
        ("a,b.jpg", "[image a,b.jpg]"),
        ("a.jpg; b.jpg!", "[image a.jpg]; [image b.jpg]!"),
        ("is it a.jpg…", "is it [image a.jpg]…"),
        ("<photo.jpg>", "<[image photo.jpg]>"),
        ("**photo.jpg**", "**[image photo.jpg]**"),
        ("a.jpg's colours", "[image a.jpg]'s colours"),
        ("first=a.jpg|b.jpg", "first=[image a.jpg]|[image b.jpg]"),
        ("1)photo.jpg 2)b.jpg", "1)[image photo.jpg] 2)[image b.jpg]"),
        ("•photo.jpg", "•[image photo.jpg]"),
        ("看photo.jpg、这是什么", "看[image photo.jpg]、这是什么"),
        ("猫.png", "[image 猫.png]"),
        ("one\na.jpg\ntwo", "one\n[image a.jpg]\ntwo"),
    ),
    section(
        "Names joined by signs",
        ("a.jpg&b.jpg", "[image a.jpg]&[image b.jpg]"),
        ("a.jpg→b.jpg", "[image a.jpg]→[image b.jpg]"),
        ("a.jpg->b.jpg", "[image a.jpg]->[image b.jpg]"),
        ("a.jpg=>b.jpg", "[image a.jpg]=>[image b.jpg]"),
        ("a.jpg~b.jpg", "[image a.jpg]~[image b.jpg]"),
        ("a.jpg-b.jpg-c.JPEG", "[image a.jpg]-[image b.jpg]-[image c.JPEG]"),
        ("a.jpg\u2013b.jpg", "[image a.jpg]\u2013[image b.jpg]"),
        ("a.jpg—b.jpg", "[image a.jpg]—[image b.jpg]"),
        ("a.jpg/b.jpg", "[image a.jpg]/[image b.jpg]"),
        ("a.jpg\\b.jpg", "[image a.jpg]\\[image b.jpg]"),
        ("a.jpg·b.jpg•c.JPEG", "[image a.jpg]·[image b.jpg]•[image c.JPEG]"),
        ("a.jpg#b.jpg@c.JPEG", "[image a.jpg]#[image b.jpg]@[image c.JPEG]"),
        ("a.jpg_b.jpg", "[image a.jpg]_[image b.jpg]"),
        ("a.jpg%b.jpg^c.JPEG", "[image a.jpg]%[image b.jpg]^[image c.JPEG]"),
        ("a.jpg[b.jpg]{c.JPEG}", "[image a.jpg][[image b.jpg]]{[image c.JPEG]}"),
        ("a.jpg<b.jpg>c.JPEG", "[image a.jpg]<[image b.jpg]>[image c.JPEG]"),
        ("a.jpg…b.jpg...c.JPEG", "[image a.jpg]…[image b.jpg]...[image c.JPEG]"),
        ("a.jpg\uff1bb.jpg\uff06c.JPEG", "[image a.jpg]\uff1b[image b.jpg]\uff06[image c.JPEG]"),
        ("a.jpg\uff5eb.jpg\uff0dc.JPEG", "[image a.jpg]\uff5e[image b.jpg]\uff0d[image c.JPEG]"),
        ('"a.jpg"-"b.jpg"', "[image a.jpg]-[image b.jpg]"),
        ("'a.jpg'&'b.jpg'", "[image a.jpg]&[image b.jpg]"),
        ("a.jpg-https://x.org/b.png", "[image a.jpg]-[image https://x.org/b.png]"),
        ("gone.jpg&b.jpg", "gone.jpg&[image b.jpg] (missing: gone.jpg)"),
        ("a.jpg→gone.jpg", "[image a.jpg]→gone.jpg (missing: gone.jpg)"),
    ),
    section(
        "Nearly the name of one file",
        ("what is up.jpg?", "what is [image UP.JPG]?"),
        (
            "Screenshot 2026-02-03 at 9.41.00 PM.png",
            "[image Screenshot 2026-02-03 at 9.41.00\u202fPM.png]",
        ),
        (
            r"screenshot\ 2026-02-03\ at\ 9.41.00\ pm.png",
            "[image Screenshot 2026-02-03 at 9.41.00\u202fPM.png]",
        ),
        ("see Café.png", "see [image Cafe\u0301.png]"),
        ('"no break.png"', "[image no\u00a0break.png]"),
        ("Bob's plan.png now", "[image Bob\u2019s plan.png] now"),
        ("ab.png", "[image \uff21\uff22.png]"),
        ("holiday/beach.png", "[image Holiday/Beach.PNG]"),
        ("@up.jpg", "[image UP.JPG]"),
        ("one Two.png", "one [image Two.png]"),
        ("SAME.jpeg", "SAME.jpeg (missing: SAME.jpeg)"),
    ),
    section(
        "Text files",
        ("sum up @notes.txt", "sum up {notes.txt}"),
        ("@notes.txt, @src/main.py: compare", "{notes.txt}, {src/main.py}: compare"),
        ("@notes.txt&@Makefile", "{notes.txt}&{Makefile}"),
        ('@"my notes.txt" says', "{my notes.txt} says"),
        (r"@my\ notes.txt.", "{my notes.txt}."),
        ("@NOTES.TXT", "{notes.txt}"),
        ("is @notes.txt about photo.jpg?", "is {notes.txt} about [image photo.jpg]?"),
        ("read notes.txt", "read notes.txt"),
        ("@someone said hello", "@someone said hello"),
        ("@first.last", "@first.last"),
        ("@gone.txt", "@gone.txt (missing: gone.txt)"),
        ("@src/gone.py", "missing: src/gone.py"),
        ("@letter.doc", "no medium: letter.doc"),
        ("@src/", "folder: src/"),
    ),
    section(
        "pages of documents",
        ("what does report.pdf say?", "what does [image report.pdf] say?"),
        ("sum up report.pdf#page=2.", "sum up [image report.pdf#page=2]."),
        ("report.pdf#page=2-4,7, please", "[image report.pdf#page=2-4,7], please"),
        ("(from report.pdf#page=3-)", "(from [image report.pdf#page=3-])"),
        ("https://h/report.pdf#page=2 is long", "[image https://h/report.pdf#page=2] is long"),
    ),
    section(
        "file: addresses, Windows and WSL",
        ("file:///home/u/a%20b.jpg", "[image /home/u/a b.jpg]"),
        ("FILE:///home/u/a%20b.jpg?", "[image /home/u/a b.jpg]?"),
        ("file://localhost/pics/cat.png", "[image /pics/cat.png]"),
        ("file:///home/u/a b.jpg", "[image /home/u/a b.jpg]"),
        (r"C:\pics\a.png", "[image /mnt/c/pics/a.png]"),
        (r"C:\here\a.png", "[image C:\\here\\a.png]"),
        (r'"D:\Eigene\b.png" zeigt was', "[image /mnt/d/Eigene/b.png] zeigt was"),
        ("C:/pics/a.png", "[image /mnt/c/pics/a.png]"),
        ("file:///C:/pics/a.png", "[image /mnt/c/pics/a.png]"),
        ("file://C:/pics/a.png", "[image /mnt/c/pics/a.png]"),
        ("file://wsl.localhost/Debian/home/u/c.png", "[image /home/u/c.png]"),
        (r"\\wsl$\Ubuntu\home\u\c.png", "[image /home/u/c.png]"),
        (r"\\wsl.localhost\Debian\home\u\c.png", "[image /home/u/c.png]"),
        ("a%20b.png", "[image a%20b.png]"),
    ),
    section(
        "The web",
        ("https://x.org/a.jpg", "[image https://x.org/a.jpg]"),
        ("https://x.org/a.jpg?size=big", "[image https://x.org/a.jpg?size=big]"),
        ("what is https://x.org/a.jpg?", "what is [image https://x.org/a.jpg]?"),
        ("(https://x.org/a_(1).PNG)", "([image https://x.org/a_(1).PNG])"),
        ("https://x.org/a.mp3,https://x.org/b.webm", "[audio https://x.org/a.mp3],[video https://x.org/b.webm]"),
        ("https://x.org/a.jpg→https://x.org/b.jpg", "[image https://x.org/a.jpg]→[image https://x.org/b.jpg]"),
        ("https://x.org/a.jpg,photo.jpg", "[image https://x.org/a.jpg],[image photo.jpg]"),
        ("https://a.org/at/https://x.org/a.jpg", "[image https://a.org/at/https://x.org/a.jpg]"),
        ("https://h/picture", "[image https://h/picture]"),
        ("https://h/picture→a.jpg", "[image https://h/picture]→[image a.jpg]"),
        ("看https://h/picture。", "看[image https://h/picture]。"),
        ("see https://h/gone", "see https://h/gone (unreachable: https://h/gone)"),
        ("sum up https://h/article.", "sum up https://h/article."),
        ("see https://h/page?img=photo.jpg", "see https://h/page?img=photo.jpg"),
        ("data:image/png;base64,iVBORw0KGgo= what?", "[image data:image/png;base64,iVBORw0KGgo=] what?"),
    ),
    section(
        "Words that stay words",
        ("save it as .png", "save it as .png"),
        ("photo", "photo"),
        ("read notes.txt and main.ts", "read notes.txt and main.ts"),
        ("what is in /etc/passwd", "what is in /etc/passwd"),
        ("run ./configure && make", "run ./configure && make"),
        ("1.png2 a.jpg.bak a.jpg-old a.jpg/b", "1.png2 a.jpg.bak a.jpg-old a.jpg/b"),
        ("www.abc.net.au", "www.abc.net.au"),
        ("git://h/x and vscode://a/b", "git://h/x and vscode://a/b"),
        ("image/png, and/or 3.5", "image/png, and/or 3.5"),
        ("`photo.jpg`", "`photo.jpg`"),
        ("why does `open('a.jpg')` fail on b.jpg", "why does `open('a.jpg')` fail on [image b.jpg]"),
        ("```\ncat a.jpg\n```", "```\ncat a.jpg\n```"),
        ("an unclosed ` before a.jpg", "an unclosed ` before [image a.jpg]"),
        ("", ""),
    ),
    section(
        "Words that go as words, with a note",
        ("what is a file.png format?", "what is a file.png format? (missing: file.png)"),
        ("convert gone.jpg to b.webp", "convert gone.jpg to b.webp (missing: gone.jpg, missing: b.webp)"),
        ("first=gone.jpg", "first=gone.jpg (missing: gone.jpg)"),
        ("me@photo.jpg", "me@photo.jpg (missing: me@photo.jpg)"),
        ("my-photo.jpg", "my-photo.jpg (missing: my-photo.jpg)"),
        ("is folder.png one?", "is folder.png one? (folder: folder.png)"),
        ("pipe.png and dead.png", "pipe.png and dead.png (pipe: pipe.png, dead link: dead.png)"),
    ),
    section(
        "Pointed out, and the line is kept",
        ("what is in ./gone.png?", "missing: ./gone.png"),
        ("~/gone.jpg", "missing: ~/gone.jpg"),
        ("/gone/a.mp4 please", "missing: /gone/a.mp4"),
        ("pics/gone.wav", "missing: pics/gone.wav"),
        ('open "gone photo.png"', "missing: gone photo.png"),
        (r"gone\ b.png", "missing: gone b.png"),
        ("file:///gone/a%20b.jpg", "missing: /gone/a b.jpg"),
        (r"C:\pics\gone.png", r"missing: C:\pics\gone.png"),
        ("(../gone.png)", "missing: ../gone.png"),
        ("a.jpg and ./gone.png", "missing: ./gone.png"),
        ("what is in page.jpg?", "no medium: page.jpg"),
        ('"my page.png"', "no medium: my page.png"),
        ("./folder.png?", "folder: ./folder.png"),
        ("./pipe.png", "pipe: ./pipe.png"),
        ("file://otherhost/p.jpg", "elsewhere: file://otherhost/p.jpg"),
        ("ftp://h/a.jpg", "elsewhere: ftp://h/a.jpg"),
        ("s3://bucket/a.jpg", "elsewhere: s3://bucket/a.jpg"),
    ),
)


def cases() -> Iterator[Case]:
    """All of them."""
    for part in SECTIONS:
        yield from part.cases


def look(path: str) -> Sight:
    """What is there, in the world of the table."""
    return WORLD.get(path, "missing")


def near(path: str) -> tuple[str, ...]:
    """The files of that world that a name can mean."""
    return tuple(name for name, sight in WORLD.items() if folded(name) == folded(path) and sight != "folder")


WORDS = {"other": "no medium", "special": "pipe", "dangling": "dead link", "foreign": "elsewhere"}


def shown(reading: Reading) -> str:
    """A reading as the table writes it."""
    if reading.problems:
        return said(reading.problems)
    text = "".join(map(part_shown, reading.parts))
    return f"{text} ({said(reading.notes)})" if reading.notes else text


def part_shown(part: Text | MediaRef) -> str:
    """A medium in brackets, a text in braces, words as they are."""
    match part:
        case MediaRef(kind, source):
            return f"[{kind} {source}]"
        case TextFile(source=source):
            return f"{{{source}}}"
        case _:
            return part.text


def said(names: Sequence[Note | Problem]) -> str:
    """What there is in place of media."""
    return ", ".join(f"{WORDS.get(name.sight, name.sight)}: {name.path}" for name in names)


def code(text: str) -> str:
    """Text as Markdown code in a table cell."""
    text = text.replace("\n", "⏎").replace("|", "\\|").translate({0x202F: " ", 0xA0: " "})
    if not text:
        return "(nothing)"
    fence = "`" * (1 + max((len(run) for run in text.replace("`", " ` ").split() if set(run) == {"`"}), default=0))
    while fence in text:
        fence += "`"
    return f"{fence}{' ' if '`' in text or text != text.strip() else ''}{text}" + (
        f" {fence}" if "`" in text or text != text.strip() else fence
    )


def table() -> str:
    """The sections as Markdown."""
    lines: list[str] = []
    for part in SECTIONS:
        lines += [f"## {part.title}", "", "| you type | becomes |", "|---|---|"]
        lines += [f"| {code(case.line)} | {code(case.becomes)} |" for case in part.cases]
        lines.append("")
    return "\n".join(lines)


def page() -> str:
    """The page with the table as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    return head + BEGIN + "\n" + table() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    PAGE.write_text(page(), encoding="utf-8")
