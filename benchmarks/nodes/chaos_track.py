"""The second operator of the chaos command; ports as in `chaos_operator.py`."""

from chaos_operator import NotingOperator


class Operator(NotingOperator):
    """Reads its sibling."""

    name = "vision-track"
