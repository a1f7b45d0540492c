"""`syncops template add | list | show | preview | delete`: what pre-fills an email."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_lib.cli import JsonOption, open_workspace, print_json, print_table
from ops_lib.errors import InputError

if TYPE_CHECKING:
    from ops_lib.model import Template

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What pre-fills an email: subject and body with fields, such as {{ individual.first_name }}, {{ user.name }} and"
    " {{ community.name }}. A field that is missing or empty is an error; {{ individual.email | default('…') }} allows for it.",
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]


@app.command()
def add(
    name: NameArgument,
    subject: Annotated[str, typer.Option()],
    body: Annotated[str, typer.Option(help="The text itself.", show_default=False)] = "",
    body_file: Annotated[Path | None, typer.Option(help="Or a file that holds it.", show_default=False)] = None,
    is_html: Annotated[
        bool, typer.Option("--html", help="The body is formatted (HTML): for Office 365 hosts.")
    ] = False,
) -> None:
    """Add an email template; one that could never be filled in is refused, with the line."""
    from ops_lib.crm.directory import Directory
    from ops_lib.mail.templates import check
    from ops_lib.model import Template

    if bool(body) == (body_file is not None):
        raise InputError("a template has one body", fix="give either --body or --body-file.")
    if body_file is not None:
        body = read_text(body_file)
    check(Template(template_id="", name=name, subject=subject, body=body, is_html=is_html))
    with open_workspace() as workspace, workspace.database.begin() as connection:
        directory = Directory(connection)
        before = len(directory.templates())
        added = directory.add_template(name, subject=subject, body=body, is_html=is_html)
        is_new = len(directory.templates()) > before
    if is_new:
        typer.echo(f"added template {added.name}")
    else:
        same = (added.subject, added.body, added.is_html) == (subject.strip(), body, is_html)
        typer.echo(
            f"template {added.name} exists already" + ("" if same else ", and reads otherwise: it stays as it is")
        )


@app.command("list")
def list_templates(as_json: JsonOption = False) -> None:
    """List the email templates."""
    from ops_lib.crm.directory import Directory

    with open_workspace() as workspace, workspace.database.read() as connection:
        found = Directory(connection).templates()
    if as_json:
        print_json([_as_json(each) for each in found])
        return
    rows = [(each.name, "formatted" if each.is_html else "text", each.subject) for each in found]
    print_table(
        ("name", "body", "subject"), rows, empty="no templates yet: syncops template add NAME --subject S --body B"
    )


@app.command()
def show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show a template as it was entered."""
    from ops_lib.crm.directory import Directory

    with open_workspace() as workspace, workspace.database.read() as connection:
        found = Directory(connection).template(name)
    if as_json:
        print_json(_as_json(found))
        return
    typer.echo(f"Subject: {found.subject}\nBody:    {'formatted' if found.is_html else 'text'}\n\n{found.body}")


@app.command()
def preview(
    name: NameArgument,
    user: Annotated[str, typer.Option(metavar="EMAIL", help="Who would send it.")],
    to: Annotated[str, typer.Option(metavar="INDIVIDUAL", help="Whom it would go to: id or name.")],
    as_json: JsonOption = False,
) -> None:
    """Show a template filled in for one individual. Nothing is sent."""
    from ops_lib.crm.directory import Directory
    from ops_lib.mail.compose import fill

    with open_workspace() as workspace, workspace.database.read() as connection:
        directory = Directory(connection)
        filled = fill(directory, directory.template(name), directory.user(user), [directory.individual(to)])
    if as_json:
        print_json({"subject": filled.subject, "body": filled.body, "html": filled.is_html})
        return
    typer.echo(f"Subject: {filled.subject}\n\n{filled.body}")


@app.command()
def delete(name: NameArgument) -> None:
    """Take a template away. Messages that were made from it stay as they are."""
    from ops_lib.crm.directory import Directory

    with open_workspace() as workspace, workspace.database.begin() as connection:
        removed = Directory(connection).remove_template(name)
    typer.echo(f"deleted template {removed.name}")


def read_text(path: Path) -> str:
    """A text file. **Raises** `InputError` where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise InputError(
            f"the body cannot be read ({reason})", subject=str(path), fix="name a text file in UTF-8 that is there."
        ) from None


def _as_json(template: Template) -> dict[str, Any]:
    return {
        "id": template.template_id,
        "name": template.name,
        "subject": template.subject,
        "body": template.body,
        "html": template.is_html,
    }
