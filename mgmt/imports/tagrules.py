"""Storage tag rules: the JavaScript expressions that a pool may carry instead of tags.

A rule sees `tags`, the list of the offering's tags, and its boolean result decides; any other result counts as false.
Understood is the expression language that such rules are written in: literals, `tags`, indexes, `length`, the usual
methods of lists and texts, comparisons, `!`, `&&`, `||`, `?:`, `+` and parentheses. Upstream: TagAsRuleHelper (which
hands the rule to a script engine, after `tags = tags ? tags.split(',') : []`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

Value: TypeAlias = "bool | float | str | list[Value] | None"

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>\d+(?:\.\d+)?)
      | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<name>[A-Za-z_$][\w$]*)
      | (?P<symbol>===|!==|==|!=|<=|>=|&&|\|\||[<>!()\[\].,?:+;-])
    )""",
    re.VERBOSE,
)


class TagRuleError(ValueError):
    """A rule that cannot be read; the text says where."""


def rule_holds(rule: str, tags: str | None) -> bool:
    """True when `rule` evaluates to true for the comma-separated `tags`; raises TagRuleError."""
    listed: list[Value] = list(tags.split(",")) if tags else []
    try:
        return _Parser(rule, listed).evaluate() is True
    except RecursionError:
        raise TagRuleError("nested too deeply") from None


def _tokens(rule: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    end = len(rule.rstrip())
    while position < end:
        match = _TOKEN.match(rule, position)
        if match is None:
            raise TagRuleError(f"unexpected text at {rule[position:].strip()[:20]!r}")
        kind = match.lastgroup or ""
        tokens.append((kind, match[kind]))
        position = match.end()
    tokens.append(("end", ""))
    return tokens


def _truthy(value: Value) -> bool:
    return value is not None and value is not False and value != 0 and value != ""


def _is_number(value: Value) -> bool:
    return isinstance(value, float)


class _Parser:
    """Reads and evaluates in one pass; both sides of `&&` and `||` are evaluated, as nothing here has an effect."""

    def __init__(self, rule: str, tags: list[Value]) -> None:
        self._tokens = _tokens(rule)
        self._at = 0
        self._tags = tags

    def evaluate(self) -> Value:
        value = self._conditional()
        self._take_if(";")
        if self._tokens[self._at][0] != "end":
            raise TagRuleError(f"unexpected {self._tokens[self._at][1]!r}")
        return value

    def _take_if(self, *symbols: str) -> str | None:
        kind, text = self._tokens[self._at]
        if kind == "symbol" and text in symbols:
            self._at += 1
            return text
        return None

    def _expect(self, symbol: str) -> None:
        if not self._take_if(symbol):
            raise TagRuleError(f"{symbol!r} expected, not {self._tokens[self._at][1]!r}")

    def _conditional(self) -> Value:
        condition = self._or()
        if not self._take_if("?"):
            return condition
        if_true = self._conditional()
        self._expect(":")
        if_false = self._conditional()
        return if_true if _truthy(condition) else if_false

    def _or(self) -> Value:
        left = self._and()
        while self._take_if("||"):
            right = self._and()
            left = left if _truthy(left) else right
        return left

    def _and(self) -> Value:
        left = self._comparison()
        while self._take_if("&&"):
            right = self._comparison()
            left = right if _truthy(left) else left
        return left

    def _comparison(self) -> Value:
        left = self._sum()
        while symbol := self._take_if("===", "!==", "==", "!=", "<=", ">=", "<", ">"):
            left = _compare(symbol, left, self._sum())
        return left

    def _sum(self) -> Value:
        left = self._unary()
        while symbol := self._take_if("+", "-"):
            right = self._unary()
            if isinstance(left, float) and isinstance(right, float):
                left = left + right if symbol == "+" else left - right
            elif symbol == "+" and isinstance(left, str) and isinstance(right, str):
                left += right
            else:
                raise TagRuleError(f"cannot use {symbol!r} on these values")
        return left

    def _unary(self) -> Value:
        if self._take_if("!"):
            return not _truthy(self._unary())
        if self._take_if("-"):
            value = self._unary()
            if not isinstance(value, float):
                raise TagRuleError("cannot negate a value that is no number")
            return -value
        return self._postfix(self._primary())

    def _primary(self) -> Value:
        if self._take_if("("):
            value = self._conditional()
            self._expect(")")
            return value
        if self._take_if("["):
            return self._arguments("]")
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            return float(text)
        if kind == "text":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind == "name":
            named: dict[str, Value] = {
                "tags": self._tags,
                "true": True,
                "false": False,
                "null": None,
                "undefined": None,
            }
            if text in named:
                return named[text]
            raise TagRuleError(f"unknown name {text!r}")
        raise TagRuleError(f"a value expected, not {text or 'the end'!r}")

    def _arguments(self, closing: str) -> list[Value]:
        values: list[Value] = []
        if self._take_if(closing):
            return values
        while True:
            values.append(self._conditional())
            if not self._take_if(","):
                self._expect(closing)
                return values

    def _postfix(self, value: Value) -> Value:
        while symbol := self._take_if(".", "["):
            if symbol == "[":
                index = self._conditional()
                self._expect("]")
                value = _element(value, index)
                continue
            kind, name = self._tokens[self._at]
            if kind != "name":
                raise TagRuleError(f"a name expected, not {name!r}")
            self._at += 1
            if self._take_if("("):
                value = _call(value, name, self._arguments(")"))
            elif name == "length" and isinstance(value, list | str):
                value = float(len(value))
            else:
                raise TagRuleError(f"unknown property {name!r}")
        return value


def _compare(symbol: str, left: Value, right: Value) -> bool:
    if symbol in ("==", "==="):
        return _is_number(left) == _is_number(right) and type(left) is type(right) and left == right
    if symbol in ("!=", "!=="):
        return not _compare("==", left, right)
    if isinstance(left, float) and isinstance(right, float):
        return {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[symbol]
    if isinstance(left, str) and isinstance(right, str):
        return {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[symbol]
    return False


def _element(value: Value, index: Value) -> Value:
    if not isinstance(value, list | str) or not isinstance(index, float):
        raise TagRuleError("an index needs a list or a text, and a number")
    return value[int(index)] if 0 <= index < len(value) and index.is_integer() else None


_LIST_METHODS: dict[str, Callable[[list[Value], Value], Value]] = {
    "includes": lambda items, wanted: wanted in items,
    "indexOf": lambda items, wanted: float(items.index(wanted)) if wanted in items else -1.0,
    "join": lambda items, separator: str(separator).join(str(item) for item in items),
}
_TEXT_METHODS: dict[str, Callable[[str, str], Value]] = {
    "includes": lambda text, wanted: wanted in text,
    "indexOf": lambda text, wanted: float(text.find(wanted)),
    "startsWith": lambda text, wanted: text.startswith(wanted),
    "endsWith": lambda text, wanted: text.endswith(wanted),
    "split": lambda text, separator: list(text.split(separator)),
}
_BARE_METHODS: dict[str, Callable[[str], Value]] = {
    "toLowerCase": str.lower,
    "toUpperCase": str.upper,
    "trim": str.strip,
}


def _call(value: Value, name: str, arguments: list[Value]) -> Value:
    if isinstance(value, list) and name in _LIST_METHODS and len(arguments) == 1:
        return _LIST_METHODS[name](value, arguments[0])
    if isinstance(value, str) and name in _TEXT_METHODS and len(arguments) == 1 and isinstance(arguments[0], str):
        return _TEXT_METHODS[name](value, arguments[0])
    if isinstance(value, str) and name in _BARE_METHODS and not arguments:
        return _BARE_METHODS[name](value)
    raise TagRuleError(f"unknown method {name!r}")
