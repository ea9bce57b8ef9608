"""A made-up organisation: who its members are, what its catalogue holds, who studies what and when."""
