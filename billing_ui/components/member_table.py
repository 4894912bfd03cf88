"""The people of a team: a table, and what an owner can do in each of its rows."""

import reflex as rx

from billing_ui.components.ask_first import ask_first
from billing_ui.components.buttons import button
from billing_ui.components.icons import icon
from billing_ui.components.pager import pager
from billing_ui.states.team import TeamState
from billing_ui.states.team_view import ROLE_WORDS, MemberView


def member_table() -> rx.Component:
    """Return the region "Members"."""
    return rx.el.section(
        rx.el.header(
            rx.el.h2("Members", id="members-heading"),
            rx.el.span(TeamState.total, class_name="muted"),
        ),
        _table(),
        _foot(),
        class_name="card flush",
        aria_labelledby="members-heading",
    )


def role_options() -> list[rx.Component]:
    """Return the roles to choose from."""
    return [rx.el.option(word, value=role.value) for role, word in ROLE_WORDS.items()]


def _table() -> rx.Component:
    heading = rx.el.th
    return rx.el.div(
        rx.el.table(
            rx.el.caption("Members", class_name="sr"),
            rx.el.thead(
                rx.el.tr(
                    heading("Member", scope="col"),
                    heading("Role", scope="col"),
                    heading("Joined", scope="col", class_name="hide-small"),
                    rx.cond(
                        TeamState.manages,
                        heading(rx.el.span("Actions", class_name="sr"), scope="col"),
                        rx.fragment(),
                    ),
                )
            ),
            rx.el.tbody(rx.foreach(TeamState.members, _row)),
            class_name="table members",
        ),
        class_name="scroll",
        role="group",
        tab_index=0,
        aria_labelledby="members-heading",
    )


def _row(member: rx.Var[MemberView]) -> rx.Component:
    return rx.el.tr(
        rx.el.th(
            rx.el.span(
                rx.el.span(
                    member.initial, class_name="avatar round hide-small", aria_hidden="true"
                ),
                rx.el.span(
                    member.local,
                    rx.el.wbr(),
                    member.domain,
                    rx.cond(member.me, rx.el.span(" (you)", class_name="muted"), rx.fragment()),
                ),
                class_name="who",
            ),
            scope="row",
        ),
        rx.el.td(
            rx.cond(
                member.changeable,
                rx.el.span(
                    rx.el.select(
                        *role_options(),
                        value=member.role,
                        on_change=lambda role: TeamState.change_role(member.user_id, role),
                        aria_label="Role of " + member.email,
                        class_name="input",
                    ),
                    icon("open"),
                    class_name="chosen",
                ),
                member.role_word,
            )
        ),
        rx.el.td(member.joined, title=member.joined_long, class_name="hide-small muted"),
        rx.cond(
            TeamState.manages,
            rx.el.td(_actions(member), class_name="num"),
            rx.fragment(),
        ),
        key=member.user_id,
    )


def _actions(member: rx.Var[MemberView]) -> rx.Component:
    return rx.el.div(
        rx.cond(
            member.resettable,
            rx.el.button(
                icon("key"),
                rx.el.span("Password link", class_name="hide-small"),
                type="button",
                aria_label="Make a password link for " + member.email,
                on_click=TeamState.make_password_link(member.user_id),
                class_name="btn ghost tight",
            ),
            rx.fragment(),
        ),
        rx.cond(
            member.changeable & ~member.me,
            ask_first(
                rx.el.button(
                    rx.el.span(icon("close"), class_name="only-small"),
                    rx.el.span("Remove", class_name="hide-small"),
                    type="button",
                    aria_label="Remove " + member.email,
                    class_name="btn ghost tight",
                ),
                title=rx.fragment("Remove ", member.email, "?"),
                words=rx.fragment(
                    "They lose access to ", TeamState.team_name, " at once, on open pages too."
                ),
                label="Remove",
                on_confirm=TeamState.remove(member.user_id),
            ),
            rx.fragment(),
        ),
        rx.cond(
            member.note != "",
            rx.el.span(member.note, class_name="muted hide-small"),
            rx.fragment(),
        ),
        class_name="acts",
    )


def _foot() -> rx.Component:
    return rx.cond(
        (TeamState.range != "") | TeamState.may_leave,
        rx.el.div(
            rx.cond(
                TeamState.may_leave,
                ask_first(
                    button("Leave team"),
                    title=rx.fragment("Leave ", TeamState.team_name, "?"),
                    words="You lose access to it at once. To come back, you need an invitation.",
                    label="Leave team",
                    on_confirm=TeamState.leave,
                ),
                rx.fragment(),
            ),
            rx.cond(
                TeamState.range != "",
                pager(
                    "Member pages",
                    TeamState.range,
                    before=(TeamState.has_previous, TeamState.show_previous),
                    after=(TeamState.has_next, TeamState.show_next),
                ),
                rx.fragment(),
            ),
            class_name="foot",
        ),
        rx.fragment(),
    )
