"""
Every fault and warning of a configuration has a code that stays; here is what each means, for ``orgloop help OL1203``.

    OL10xx  files       OL12xx  form of a value     OL14xx  variables, secrets     OL16xx  prompts, scripts
    OL11xx  YAML        OL13xx  names               OL15xx  plug-ins               OL17xx  modules
    OL18xx  workspaces  OL19xx  warnings: allowed, and likely a slip
"""

from __future__ import annotations

import re

import attrs


@attrs.frozen
class Code:
    """What a code stands for."""

    title: str
    why: str
    """The rule that was not kept."""
    fix: str


CODES: dict[str, Code] = {
    "OL1001": Code(
        "File not found",
        "Every file that is named must be there; none is left out in silence.",
        "Correct the path (it is relative to the project file), or create the file; `orgloop init` makes a project.",
    ),
    "OL1002": Code(
        "Not a regular file",
        "Folders, pipes and devices are not read: they may never end.",
        "Name a regular file.",
    ),
    "OL1003": Code(
        "File too large",
        "A YAML file, a prompt or a .env has at most 1 MiB, so that no file can hold up a start.",
        "Divide it into several files, and name each in orgloop.yaml.",
    ),
    "OL1004": Code("Not UTF-8", "Configuration is UTF-8.", "Save the file as UTF-8."),
    "OL1005": Code(
        "File cannot be read",
        "The system refused to read the file.",
        "See that it is readable for the user that OrgLoop runs as.",
    ),
    "OL1006": Code(
        "Link leads out of the project",
        "A link that is written as lying in the project, and leads elsewhere, brings in what nobody sees.",
        "Write the path that is meant, as ../shared/x.yaml or /etc/x.yaml, or copy the file.",
    ),
    "OL1007": Code("Too many files", "A project has at most 10,000 files.", "Divide the project into modules."),
    "OL1101": Code("Not YAML", "The text cannot be read as YAML.", "Look at the line, and at the one before it."),
    "OL1102": Code("Tab as indentation", "YAML is indented with spaces.", "Replace the tab by two spaces."),
    "OL1103": Code(
        "Key written twice",
        "Of two equal keys in one mapping only one can count, and nobody could say which was meant.",
        "Keep one of them.",
    ),
    "OL1104": Code("Several documents", "A file holds one YAML document.", "Put the second one into its own file."),
    "OL1105": Code("Empty document", "A project file says at least what it is.", "Run `orgloop init`."),
    "OL1106": Code("Not a mapping", "At its top a file has keys with values.", "Write `key: value` lines."),
    "OL1107": Code("Too deep", "Lists and mappings may lie 64 deep in each other.", "Flatten the structure."),
    "OL1108": Code(
        "Aliases repeat too much",
        "Nine aliases in each of ten levels are a billion values; at most 1,000 may be repeated.",
        "Write the values out, or use fewer aliases.",
    ),
    "OL1109": Code("Alias within itself", "A value cannot hold itself.", "Remove the alias."),
    "OL1110": Code("Tag", "A tag can make a parser run code, so none is taken.", "Remove the tag."),
    "OL1111": Code(
        "Merge key",
        "What `<<` brings into a mapping does not show where it came from, a secret for instance.",
        "Write the keys out.",
    ),
    "OL1112": Code("Number out of range", "Numbers are finite, and whole ones fit into 64 bits.", "Put it in quotes."),
    "OL1113": Code("Character not allowed", "Control characters do not belong in text.", "Remove the character."),
    "OL1114": Code("Key is not text", "Keys are text.", "Put the key in quotes; a value with {{…}} too."),
    "OL1115": Code("Too many values", "A file has at most 200,000 values, a list or mapping 10,000.", "Divide it."),
    "OL1201": Code(
        "Wrong kind of value",
        "Text is not taken for a number, nor a number for text: nothing is guessed.",
        "Write a value of the kind that is asked for.",
    ),
    "OL1202": Code("Required key is missing", "Without it the definition means nothing.", "Add the key."),
    "OL1203": Code(
        "Unknown key",
        "A key that nobody reads would be ignored in silence, and a slip would never be found.",
        "Correct its spelling, or remove it.",
    ),
    "OL1204": Code("Two spellings of one key", "Only one of the two can count.", "Keep one of them."),
    "OL1205": Code("Not a duration", "A duration is one whole number and ms, s, m, h or d.", "Write 30s, 5m or 1h."),
    "OL1206": Code("Not a size", "A size is a number and B, KB, MB or GB.", "Write 512KB or 100MB."),
    "OL1207": Code("Not a rate", "A rate is a number of times per s, m or h.", "Write 100/s or 5/m."),
    "OL1208": Code("Not one of the choices", "Only the named values mean something here.", "Write one of them."),
    "OL1209": Code(
        "Not a name",
        "Ids become names of files and parts of addresses, so they are plain.",
        'Use letters, digits, ".", "_" and "-".',
    ),
    "OL1210": Code("Value refused", "The value is of the right kind, and out of its range.", "See the text."),
    "OL1211": Code(
        "Wrong kind of file",
        "`kind` says what a file is, and it is not what is wanted here.",
        "Name the right file, or correct its kind.",
    ),
    "OL1301": Code("Name taken twice", "A name leads to one thing; ids differ in more than case.", "Rename one."),
    "OL1302": Code("Source not found", "Every name must lead somewhere.", "Correct it, or define the source."),
    "OL1303": Code("Actor not found", "Every name must lead somewhere.", "Correct it, or define the actor."),
    "OL1304": Code("Transform not found", "Every name must lead somewhere.", "Correct it, or define the transform."),
    "OL1306": Code(
        "Not a source of another module",
        "A source of another module is written module:source, and that module must export it.",
        "Write it so.",
    ),
    "OL1307": Code("No such field of an event", "A filter on it would never match.", "Begin with payload. or so."),
    "OL1308": Code("Filter never matches", "What can never match is a slip.", "Write a value, or a list of values."),
    "OL1309": Code("Transform without its program", "A type needs the key that says which.", "Add the key."),
    "OL1401": Code(
        "Variable is not set",
        "A configuration that lacks a value cannot start.",
        "Set it in the environment or in .env, or write ${NAME:-default}.",
    ),
    "OL1402": Code(
        "Not a reference to a variable",
        "`${` begins ${NAME} or ${NAME:-default}, once: what is looked up is not looked up again.",
        "Correct the reference.",
    ),
    "OL1403": Code("Strange line in .env", "Lines are NAME=value or # a remark.", "Correct or remove the line."),
    "OL1404": Code(
        "Secret in plain text",
        "Files of a configuration are shared and kept for ever; secrets are not.",
        "Write ${NAME}, put the value in .env, and renew the secret.",
    ),
    "OL1501": Code(
        "Unknown plug-in",
        "A connector, transform or logger is built in, installed, or a file of the project.",
        "Correct the name, or install the package that has it.",
    ),
    "OL1502": Code("Plug-in cannot be used", "It was found, and it cannot be used here.", "See the text."),
    "OL1503": Code("Option refused", "The plug-in cannot work with this option.", "See the text."),
    "OL1504": Code("Unknown bus", "A bus is built in or installed.", "Write file, memory, or an address."),
    "OL1505": Code("File of a plug-in not found", "It is looked for in the project.", "Correct the path."),
    "OL1601": Code(
        "Prompt not found",
        "A prompt is looked for beside the file that names it, then in the project's folder.",
        "Correct the path, or write the prompt.",
    ),
    "OL1602": Code("Prompt cannot be used", "A prompt is a text file of at most 1 MiB, in UTF-8.", "See the text."),
    "OL1603": Code(
        "Script not found",
        "A script is looked for beside the file that names it, then in the project's folder.",
        "Correct the path, or write the script.",
    ),
    "OL1604": Code("Script is not executable", "It is run without a shell.", "Run chmod +x on it."),
    "OL1605": Code("Front matter left out", "Front matter of a prompt is a YAML mapping.", "Correct it."),
    "OL1701": Code(
        "Unknown module",
        "A module is a folder of the project, or an installed package.",
        "Correct the name, or install the package.",
    ),
    "OL1702": Code(
        "Manifest not found", "A module has orgloop-module.yaml or orgloop.yaml.", "Name the folder that holds it."
    ),
    "OL1703": Code("Parameter is missing", "The module needs a value for it.", "Add it under params:."),
    "OL1704": Code("Unknown parameter", "Nobody would read it.", "Correct its spelling, or remove it."),
    "OL1705": Code("Parameter of another kind", "The module says what kind of value it is.", "Write such a value."),
    "OL1706": Code("Module name taken twice", "One name is one module of the runtime.", "Rename one of them."),
    "OL1707": Code("Module loads itself", "That would never end.", "Remove it from modules:."),
    "OL1708": Code(
        "Not for a part of a project",
        "A module without sources and actors becomes part of the project that loads it, and that speaks for both.",
        "Move the key to the project.",
    ),
    "OL1801": Code("Workspace not found", "A workspace is workspaces/<name>.yaml.", "Correct its name, or write it."),
    "OL1802": Code("Not a workspace's name", "It becomes the name of a file.", "Use letters, digits and -."),
    "OL1901": Code("Dead source", "No route listens to it.", "Write a route, or remove the source."),
    "OL1902": Code("Unreachable actor", "No route leads to it.", "Write a route, or remove the actor."),
    "OL1903": Code("Orphan transform", "No route uses it.", "Use it in a route, or remove it."),
    "OL1904": Code("Event that never comes", "The source says that it does not emit it.", "Correct events: or emits:."),
    "OL1905": Code("User's defaults left out", "A project does not fail by the user's own file.", "Correct the file."),
    "OL1906": Code("Which version", "apiVersion says for which version a file is written.", "Write it as shown."),
}


def explain(code: str) -> str | None:
    """The page on a code, in either case; None if there is no such code."""
    found = CODES.get(code.upper())
    if found is None:
        return None
    return f"{code.upper()}  {found.title}\n\n{found.why}\n\nWhat to do: {found.fix}\n"


def codes_in(text: str) -> list[str]:
    """The codes that a text speaks of."""
    return re.findall(r"\bOL1\d{3}\b", text)
