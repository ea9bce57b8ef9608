"""Python client of xuelu's HTTP API; it needs httpx2 and nothing else of xuelu.

>>> from xuelu_client import Client
>>> client = Client("https://xuelu.example.org", "xuelu_0a1b2c3d4e5f_secret")
>>> client.close()
"""

from xuelu_client.client import Client
from xuelu_client.errors import ClientError, ProblemError, UnreachableError
from xuelu_client.retry import Patience

__all__ = ["Client", "ClientError", "Patience", "ProblemError", "UnreachableError"]
