"""Operations on what members chose: items saved for later, and topics held about them."""

from xuelu_client.addresses import segment
from xuelu_client.connection import Connection
from xuelu_client.models import Record


class MemberChoices(Connection):
    """The part of the client for choices of members."""

    def save_for_later(self, member_id: str, item_id: str) -> Record:
        """Save an item for later for a member: it returns on the list; return the item and the time."""
        return self._json("PUT", _saved(member_id, item_id))

    def end_saving(self, member_id: str, item_id: str) -> None:
        """Take an item off those that a member saved for later."""
        self._send("DELETE", _saved(member_id, item_id))

    def saved_items(self, member_id: str) -> list[Record]:
        """Return the items that a member saved for later, the first saved first."""
        return self._json("GET", f"/v1/members/{segment(member_id)}/saved")["saved"]

    def interests(self, member_id: str) -> Record:
        """Return the topics held about a member, and those that it deleted."""
        return self._json("GET", f"/v1/members/{segment(member_id)}/interests")

    def delete_interest(self, member_id: str, topic: str) -> None:
        """Delete a topic from what is held about a member."""
        self._send("DELETE", _interest(member_id, topic))

    def restore_interest(self, member_id: str, topic: str) -> None:
        """Let study of a deleted topic count again."""
        self._send("PUT", _interest(member_id, topic))


def _saved(member_id: str, item_id: str) -> str:
    return f"/v1/members/{segment(member_id)}/saved/{segment(item_id)}"


def _interest(member_id: str, topic: str) -> str:
    return f"/v1/members/{segment(member_id)}/interests/{segment(topic)}"
