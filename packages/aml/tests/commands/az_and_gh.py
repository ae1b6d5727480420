"""An az and a gh of ours: they keep what they are told to make, and say what is there.

`answer` is both, for tests in their own process; as a program, this file is the one by whose name it is called.
"""

import json
import sys
from pathlib import Path
from typing import Any

Held = dict[str, Any]
Answer = tuple[int, str, str]
NOT_THERE = (3, "", "ERROR: (ResourceNotFound) not there")


def answer(held: Held, program: str, *words: str) -> Answer:
    """How a call ends, what it answers, what it says of that; what is held changes where it makes something."""
    line = " ".join(words)
    held.setdefault("calls", []).append(f"{program} {line}")
    if held.get("fails") and held["fails"] in line:
        return 1, "", "ERROR: (AuthorizationFailed) no rights"
    return (az if program == "az" else gh)(held, line, list(words))


def az(held: Held, line: str, words: list[str]) -> Answer:
    def after(option: str) -> str:
        return words[words.index(option) + 1]

    def keep(key: str, what: Any, said: str = "made") -> Answer:
        held[key] = what
        return 0, said, ""

    if line.startswith("account show"):
        return 0, "the-tenant", ""
    if line.startswith("ad app create"):
        return keep(
            f"app {after('--display-name')}", f"id-of-{after('--display-name')}", f"id-of-{after('--display-name')}"
        )
    if line.startswith("ad app list"):
        return 0, held.get(f"app {after('--display-name')}", ""), ""
    if line.startswith("ad sp create"):
        return keep(f"sp {after('--id')}", f"sp-of-{after('--id')}", f"sp-of-{after('--id')}")
    if line.startswith("ad sp show"):
        return (0, held[f"sp {after('--id')}"], "") if f"sp {after('--id')}" in held else NOT_THERE
    if line.startswith("ad app federated-credential create"):
        return keep(f"trust {after('--id')}", json.loads(after("--parameters")))
    if line.startswith("ad app federated-credential list"):
        return 0, held.get(f"trust {after('--id')}", {}).get("name", ""), ""
    if line.startswith("role assignment create"):
        return keep(f"role {after('--assignee-object-id')}", [after("--role"), after("--scope")])
    if line.startswith("role assignment list"):
        return 0, "made" if f"role {after('--assignee')}" in held else "", ""
    if line.startswith("rest --method get --url https://graph.microsoft.com/v1.0/applications "):
        apps = {name.removeprefix("app "): what for name, what in held.items() if name.startswith("app ")}
        asked = line.partition("startswith(displayName,'")[2].partition("'")[0]
        listed = [
            {"displayName": name, "appId": app, "federatedIdentityCredentials": held.get(f"trusts {app}", [])}
            for name, app in apps.items()
            if name.startswith(asked)
        ]
        return 0, json.dumps({"value": listed}), ""
    raise AssertionError(line)


def gh(held: Held, line: str, words: list[str]) -> Answer:
    if line.startswith("variable set"):
        environment = words[words.index("--env") + 1] if "--env" in words else "all"
        held[f"variable {environment} {words[2]}"] = words[words.index("--body") + 1]
        return 0, "", ""
    place = next(word for word in words if word.startswith(("repos/", "users/")))
    if place.endswith("/customization/sub"):
        return 0, json.dumps(held["subject"]), ""
    if place.startswith("users/") or place == "repos/owner/name":
        return 0, "42" if place.startswith("users/") else "12/34", ""
    if "--method" in words:
        held[place] = [word for word in words if "=" in word]
    return (0, "there", "") if place in held else (1, "", "gh: Not Found (HTTP 404)")


if __name__ == "__main__":
    program = Path(sys.argv[0])
    file = program.resolve().with_name("held")
    known = json.loads(file.read_text())
    code, said, error = answer(known, program.name, *sys.argv[1:])
    file.write_text(json.dumps(known))
    print(said)
    print(error, file=sys.stderr)
    sys.exit(code)
