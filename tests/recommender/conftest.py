"""Organisations that several tests look at, made once: nobody changes them."""

import pytest

from tests.recommender.builders import Organisation, random_organisation


@pytest.fixture(scope="session")
def organisation() -> Organisation:
    """Return an organisation of all sorts of members and items."""
    return random_organisation(1, members=60, items=40, studies=900)
