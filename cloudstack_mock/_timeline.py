"""What happened for one job as a sequence diagram: text, Mermaid and SVG."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from mgmt.observe.journal import Entry

SERVER = "server"
CALLER = "caller"
VCENTER = "vCenter"
MAX_DETAIL = 160
_COLUMN, _ROW, _TOP = 170, 26, 40
_TOOLS = ("virt-v2v", "ovftool", "nbdkit", "qemu-img")

_SVG_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">'
)
_SVG_TIP = (
    '<defs><marker id="tip" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="6" markerHeight="6" '
    'orient="auto-start-reverse"><path d="M0 0 6 3 0 6z"/></marker></defs>'
)


@dataclass(frozen=True)
class Step:
    """One arrow, or a note where `sender` and `receiver` are the same; `after_s` is counted from the first one."""

    after_s: float
    sender: str
    receiver: str
    text: str
    detail: str = ""


class Timeline:
    """The steps of one job in their order. `str` gives the text form."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        start_s = entries[0].at if entries else 0.0
        self.steps = [step for entry in entries for step in _steps(entry, entry.at - start_s)]

    @property
    def parties(self) -> list[str]:
        """Who takes part, the server's side first."""
        found = dict.fromkeys(party for step in self.steps for party in (step.sender, step.receiver))
        first = [party for party in (CALLER, SERVER, VCENTER) if party in found]
        return first + [party for party in found if party not in first]

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """One line a step, with the time since the first."""
        width = max((len(_way(step)) for step in self.steps), default=0)
        return "\n".join(
            f"{_clock(step.after_s)}  {_way(step):{width}}  {step.text}" + (f"  {step.detail}" if step.detail else "")
            for step in self.steps
        )

    def mermaid(self) -> str:
        """A sequence diagram in Mermaid's words."""
        names = {party: f"p{index}" for index, party in enumerate(self.parties)}
        lines = ["sequenceDiagram", *(f"    participant {name} as {party}" for party, name in names.items())]
        for step in self.steps:
            text = _plain(f"{step.text} ({_clock(step.after_s).strip()})")
            sender, receiver = names[step.sender], names[step.receiver]
            lines.append(
                f"    Note over {sender}: {text}" if sender == receiver else f"    {sender}->>{receiver}: {text}"
            )
        return "\n".join(lines) + "\n"

    def svg(self) -> str:
        """A sequence diagram as an SVG document."""
        parties = self.parties
        middle = {party: _COLUMN // 2 + index * _COLUMN for index, party in enumerate(parties)}
        width, height = max(1, len(parties)) * _COLUMN, _TOP + (len(self.steps) + 1) * _ROW
        return "\n".join(
            [
                _SVG_HEAD.format(width=width, height=height),
                _SVG_TIP,
                *_svg_parties(middle, height),
                *(line for index, step in enumerate(self.steps) for line in _svg_step(middle, step, index)),
                "</svg>\n",
            ]
        )


def _svg_parties(middle: dict[str, int], height: int) -> Iterator[str]:
    for party, x in middle.items():
        yield f'<text x="{x}" y="16" text-anchor="middle" font-weight="bold">{escape(party)}</text>'
        yield f'<line x1="{x}" y1="22" x2="{x}" y2="{height}" stroke="#bbb"/>'


def _svg_step(middle: dict[str, int], step: Step, index: int) -> Iterator[str]:
    y = _TOP + (index + 1) * _ROW
    start, end = middle[step.sender], middle[step.receiver]
    title = f"<title>{escape(f'{_clock(step.after_s).strip()} {step.detail}'.strip())}</title>"
    if start == end:
        yield f'<text x="{start + 6}" y="{y - 4}" font-style="italic">{escape(step.text)}{title}</text>'
        return
    yield f'<line x1="{start}" y1="{y}" x2="{end}" y2="{y}" stroke="#000" marker-end="url(#tip)"/>'
    yield f'<text x="{(start + end) // 2}" y="{y - 4}" text-anchor="middle">{escape(step.text)}{title}</text>'


def of_job(journal: Sequence[Entry], correlation_ids: Collection[str | None]) -> list[Entry]:
    """The entries of a job, with what hosts have noted beside it: programs that ran, faults that were met."""
    mine = [entry for entry in journal if entry.correlation_id in correlation_ids]
    first, last = mine[0].number, mine[-1].number
    hosts = {entry.fields.get("host") for entry in mine if entry.kind == "agent"}

    def is_beside(entry: Entry) -> bool:
        if entry.correlation_id is not None or not first < entry.number < last:
            return False
        facts = entry.fields.get("facts", {}) if entry.kind == "fault" else entry.fields
        return entry.kind in ("fault", "tool") and isinstance(facts, dict) and facts.get("host") in {None, *hosts}

    return [entry for entry in journal if entry.correlation_id in correlation_ids or is_beside(entry)]


def _steps(entry: Entry, after_s: float) -> Iterator[Step]:
    known: dict[str, Any] = dict(entry.fields)
    match entry.kind:
        case "api":
            yield Step(after_s, CALLER, SERVER, entry.name, _shown(status=known.get("status")))
        case "job":
            yield Step(after_s, SERVER, SERVER, f"job {known.get('state')}", _shown(code=known.get("resultcode")))
        case "import":
            reason = f"{known['reason']} (row {known.get('row')})" if known.get("reason") else ""
            if known.get("state") != "started":
                yield Step(after_s, SERVER, SERVER, f"{entry.name}: {known.get('state')}", reason[:MAX_DETAIL])
        case "agent":
            content = known.get("content")
            answer = content if isinstance(content, dict) else {}
            host = str(known.get("host"))
            if known.get("direction") == "sent":
                yield Step(after_s, SERVER, host, entry.name)
            else:
                said = _shown(result=answer.get("result"), details=answer.get("details") or None)
                yield Step(after_s, host, SERVER, entry.name, said[:MAX_DETAIL])
        case "vcenter":
            yield Step(
                after_s, SERVER, VCENTER, entry.name, "" if known.get("outcome") == "ok" else str(known["outcome"])
            )
        case "tool":
            host = str(known.get("host"))
            yield Step(
                after_s, host, host, f"{_tool(entry.name, known)} ended", _shown(status=known.get("exit_status"))
            )
        case "fault":
            yield Step(after_s, SERVER, SERVER, f"fault {entry.name}", f"at {known.get('point')}")
        case _:
            yield Step(after_s, SERVER, SERVER, f"{entry.kind} {entry.name}")


def _tool(name: str, known: Mapping[str, Any]) -> str:
    """The program that matters: conversions are lines of a shell."""
    line = " ".join(map(str, known.get("argv", ())))
    return next((tool for tool in _TOOLS if f"{tool} " in line), name.rpartition("/")[2])


def _way(step: Step) -> str:
    return step.sender if step.sender == step.receiver else f"{step.sender} -> {step.receiver}"


def _clock(after_s: float) -> str:
    minutes, seconds = divmod(after_s, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:3d}:{minutes:02d}:{seconds:06.3f}"


def _shown(**values: object) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items() if value is not None)


def _plain(text: str) -> str:
    return text.replace(";", ",").replace("#", "").replace("\n", " ")
