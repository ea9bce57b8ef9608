"""The Python client of xuelu's API; it needs httpx2 and nothing else of xuelu.

>>> from xuelu_client import Client
>>> client = Client("https://xuelu.example.org", "xuelu_0a1b2c3d4e5f_secret")
>>> client.close()
"""

from xuelu_client.client import Client
from xuelu_client.errors import ClientError, ProblemError, UnreachableError

__all__ = ["Client", "ClientError", "ProblemError", "UnreachableError"]
