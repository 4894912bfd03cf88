"""The demo accounts of the sandbox: fixed people in fixed teams, so that a button can name each of them."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from billing_ui.models.team import Role

_NAMESPACE: Final = UUID("2f8b7f0e-3f0a-4f0c-9d43-5f6f1c1c8a10")


@dataclass(frozen=True)
class DemoAccount:
    """One person of the demo and the team they look at."""

    key: str
    email: str
    name: str
    team_name: str
    role: Role = Role.OWNER

    @property
    def billing_email(self) -> str:
        """Where the team's invoices are sent."""
        return f"billing@{self.email.partition('@')[2]}"

    @property
    def user_id(self) -> UUID:
        """The user's id, the same in every installation."""
        return uuid5(_NAMESPACE, f"user:{self.key}")

    @property
    def team_id(self) -> UUID:
        """The team's id, the same in every installation; accounts of one team share it."""
        return uuid5(_NAMESPACE, f"team:{self.team_name}")


DEMO_ACCOUNTS: Final[dict[str, DemoAccount]] = {
    account.key: account
    for account in (
        DemoAccount("active", "avery@northwind.example", "Avery Stone", "Northwind Labs"),
        DemoAccount("trialing", "toni@bluefin.example", "Toni Marsh", "Bluefin Studio"),
        DemoAccount("past due", "parker@harborside.example", "Parker Lind", "Harborside Foods"),
        DemoAccount("canceling", "casey@lumen.example", "Casey Ortiz", "Lumen Works"),
        DemoAccount("ended", "emery@oakline.example", "Emery Voss", "Oakline Press"),
        DemoAccount("no plan", "noel@freshfield.example", "Noel Adler", "Freshfield"),
        DemoAccount(
            "member", "morgan@northwind.example", "Morgan Hale", "Northwind Labs", Role.MEMBER
        ),
    )
}
