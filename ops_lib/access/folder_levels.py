"""What a folder permission lets its holder do, by the levels' and single rights' names in five languages. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_EDITOR = frozenset(
    (
        "createitems",
        "readitems",
        "foldervisible",
        "editowneditems",
        "editallitems",
        "deleteowneditems",
        "deleteallitems",
    )
)
_AUTHOR = frozenset(("createitems", "readitems", "foldervisible", "editowneditems", "deleteowneditems"))
_MORE_THAN_EDITOR = frozenset(("createsubfolders", "folderowner"))
_SINGLE = _EDITOR | _MORE_THAN_EDITOR | {"foldercontact"}

#: the rights behind each level (Microsoft's page of Add-MailboxFolderPermission)
LEVELS: dict[str, frozenset[str]] = {
    "None": frozenset(),
    "AvailabilityOnly": frozenset(),
    "LimitedDetails": frozenset(),
    "Contributor": frozenset(("createitems", "foldervisible")),
    "Reviewer": frozenset(("readitems", "foldervisible")),
    "NonEditingAuthor": frozenset(("createitems", "readitems", "foldervisible", "deleteowneditems")),
    "Author": _AUTHOR,
    "PublishingAuthor": _AUTHOR | {"createsubfolders"},
    "Editor": _EDITOR,
    "PublishingEditor": _EDITOR | {"createsubfolders"},
    "Owner": _SINGLE,
}

#: the levels as consoles and Outlook name them in German, French, Spanish, Dutch and Italian
_SPELLINGS: dict[str, str] = {
    "None": "Keine; Kein; Aucun; Aucune; Ninguno; Ninguna; Geen; Nessuno; Nessuna",
    "AvailabilityOnly": "FreeBusyTimeOnly; Nur Verfügbarkeit; Frei/Gebucht-Zeit; Disponibilité uniquement; Heure de disponibilité; "
    "Solo disponibilidad; Hora de disponibilidad; Alleen beschikbaarheid; Tijd beschikbaar/bezet; Solo disponibilità",
    "LimitedDetails": "FreeBusyTimeAndSubjectAndLocation; Eingeschränkte Details; Frei/Gebucht-Zeit, Betreff, Ort; Détails limités; "
    "Heure de disponibilité, objet, emplacement; Detalles limitados; Beperkte details; Dettagli limitati",
    "Contributor": "Mitwirkender; Teilnehmer; Collaborateur; Contributeur; Colaborador; Bijdrager; Inzender; Medewerker; Collaboratore",
    "Reviewer": "Prüfer; Lektor; Relecteur; Réviseur; Revisor; Controleur; Revisore",
    "NonEditingAuthor": "Nicht bearbeitender Autor; Autor ohne Bearbeitungsrecht; Auteur sans modification; Auteur non éditeur; "
    "Autor sin permiso de edición; Autor no editor; Niet-bewerkende auteur; Auteur zonder bewerkingsrechten; Autore senza modifica",
    "Author": "Autor; Auteur; Autore",
    "PublishingAuthor": "Veröffentlichender Autor; Auteur de publication; Auteur-éditeur; Autor de publicación; Autor con autoridad; "
    "Publicerende auteur; Publicatieauteur; Autore di pubblicazione",
    "Editor": "Bearbeiter; Redakteur; Éditeur; Rédacteur; Redactor; Redacteur; Bewerker; Redattore",
    "PublishingEditor": "Veröffentlichender Bearbeiter; Veröffentlichender Redakteur; Éditeur de publication; Rédacteur en chef; "
    "Editor de publicación; Editor con autoridad; Publicerende redacteur; Publicerende bewerker; Hoofdredacteur; Redattore di pubblicazione",
    "Owner": "Besitzer; Eigentümer; Propriétaire; Propietario; Eigenaar; Proprietario",
}

#: the entry for everybody who has none, and the one for who is not signed in
_EVERYBODY = "Default; Standard; Par défaut; Défaut; Predeterminado; Standaard; Predefinito; Impostazione predefinita"
_ANONYMOUS = "Anonymous; Anonym; Anonyme; Anónimo; Anoniem; Anonimo"
#: the default folders as mailboxes of different languages name them
_CALENDARS = "Calendar; Kalender; Calendrier; Calendario; Agenda"
_TASKS = "Tasks; Aufgaben; Tâches; Tareas; Taken; Attività"


def plain(text: str) -> str:
    """A name without case, accents, blanks and signs, to compare it."""
    apart = unicodedata.normalize("NFKD", text)
    return re.sub(r"[^a-z0-9]", "", "".join(each for each in apart if not unicodedata.combining(each)).lower())


def _set(names: str) -> frozenset[str]:
    return frozenset(plain(each) for each in names.split(";"))


_BY_NAME = {plain(each): level for level, names in _SPELLINGS.items() for each in (level, *names.split(";"))}
_EVERYBODY_NAMES, _ANONYMOUS_NAMES = _set(_EVERYBODY), _set(_ANONYMOUS)
_CALENDAR_NAMES, _TASK_NAMES = _set(_CALENDARS), _set(_TASKS)


@dataclass(frozen=True, slots=True)
class Reach:
    """What an entry comes to. ``level`` is Microsoft's name, or the single rights."""

    level: str
    may_read: bool
    may_write: bool
    is_more: bool


def reach_of(access_rights: str) -> Reach | None:
    """What ``AccessRights`` comes to; None for a name that is not known here (a custom level, a number, a cut value)."""
    text = access_rights.strip("{} ")
    if not text:
        return None
    whole = _BY_NAME.get(plain(text))  # some names of levels have a comma in them
    names = [text] if whole else [each.strip() for each in text.split(",")]
    held: set[str] = set()
    for name in names:
        level = _BY_NAME.get(plain(name))
        if level is None and plain(name) not in _SINGLE:
            return None
        held |= LEVELS[level] if level else {plain(name)}
    return Reach(
        level=", ".join(_BY_NAME.get(plain(name), name) for name in names),
        may_read="readitems" in held,
        may_write={"createitems", "readitems", "editallitems", "deleteallitems"} <= held,
        is_more=bool(held & _MORE_THAN_EDITOR),
    )


def is_everybody(user: str) -> bool:
    """Whether the entry is the one for everybody who has none of their own."""
    return plain(user) in _EVERYBODY_NAMES


def is_anonymous(user: str) -> bool:
    """Whether the entry is the one for who is not signed in."""
    return plain(user) in _ANONYMOUS_NAMES


def folder_type(name: str) -> str | None:
    """ "calendar" or "tasks" for a default folder's name or type in a known language; None for any other."""
    last = plain(name.replace("/", "\\").rsplit("\\", 1)[-1])
    return "calendar" if last in _CALENDAR_NAMES else "tasks" if last in _TASK_NAMES else None
