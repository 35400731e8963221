"""The first operator of the chaos command; ports as in `chaos_operator.py`."""

from chaos_operator import NotingOperator


class Operator(NotingOperator):
    """Reads the camera."""

    name = "vision-shrink"
