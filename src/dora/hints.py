"""What was probably meant by a word that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], quote: str = "`") -> str:
    """The question that names the one of `known` that is most like `word`; empty if none is."""
    import difflib  # only when a word is wrong: every node pays for what is loaded here

    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {quote}{close[0]}{quote}?" if close else ""


def near_and_all(word: str, known: Iterable[str], name: str) -> str:
    """`did_you_mean`, and all there is to choose from, called `name`: did you mean `image`? outputs: image, info."""
    choices = list(known)
    listed = f"{name}: {', '.join(choices)}" if choices else "it has none"
    return f"{did_you_mean(word, choices)} {listed}".lstrip()


def outputs_hint(word: str, outputs: Iterable[str]) -> str:
    """What to send on instead of an output that is not declared, as a sentence."""
    choices = list(outputs)
    question = did_you_mean(word, choices)
    return f"D{question[1:]}" if question else f"It has: {', '.join(choices) or 'no outputs'}."
