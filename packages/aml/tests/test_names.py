"""What Azure takes for a name: the same for the questions of a render and for the commands."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aml_project import names
from aml_project.command_line import WRONG_USE, Failure
from aml_template import rules

ANYTHING = st.text(alphabet=st.sampled_from("aZ09-_.()é٣ß \n/x"), max_size=40)
# The rules stand twice because a render imports nothing of the package; these are the names that are asked for and
# given as options.
COMMON = sorted(names.RULES.keys() & rules.RULES.keys())


def nearly(pattern: str) -> st.SearchStrategy[str]:
    """Names that fit, some of them with one character more, or another."""
    fitting = st.from_regex(re.compile(pattern), fullmatch=True)
    other = st.sampled_from(["", "a", "Z", "0", "-", ".", "_", " ", "é", "\n"])
    changed = st.builds(
        lambda text, at, new, taken: text[:at] + new + text[at + taken :],
        fitting, st.integers(0, 40), other, st.integers(0, 1),
    )  # fmt: skip
    return st.one_of(ANYTHING, fitting, changed)


def test_the_names_that_are_asked_for_have_a_rule_here_too() -> None:
    assert COMMON == [
        "compute_name", "dataset_name", "model_name", "resource_group", "subscription_id", "vm_size", "workspace_name",
    ]  # fmt: skip


@pytest.mark.parametrize("field", COMMON)
@given(data=st.data())
def test_the_names_have_the_rules_of_the_questions(field: str, data: st.DataObject) -> None:
    """What may be answered may be given to a command, and the other way round; only an empty answer means later."""
    pattern = names.RULES[field][0]
    text = data.draw(nearly(pattern))
    agree(field, text)


@pytest.mark.parametrize("text", ["a" * length for length in (1, 2, 3, 16, 17, 33, 34, 90, 91, 255, 256)])
@pytest.mark.parametrize("field", COMMON)
def test_the_lengths_of_names_are_those_of_the_questions(field: str, text: str) -> None:
    agree(field, text)
    agree(field, f"Standard_{text}")


def agree(field: str, text: str) -> None:
    given_to_a_command = bool(re.fullmatch(names.RULES[field][0], text))
    answered = bool(text and rules.RULES[field][0](text))
    if field == "vm_size":  # Azure takes standard_ as well, and so do the commands
        text = "Standard" + text[len("Standard") :] if text.lower().startswith("standard") else text
        answered = bool(text and rules.RULES[field][0](text))
    assert given_to_a_command == answered, (field, text)


GUID = "12345678-1234-1234-1234-123456789abc"


@pytest.mark.parametrize(
    ("given_names", "options", "said"),
    [
        ({"subscription_id": GUID, "workspace_name": "ml"}, None, "--workspace-name: 3 to 33 letters"),
        ({"subscription_id": "", "storage_account": "", "location": "!"}, None, "give --subscription-id and --storage"),
        ({"container": ""}, {"container": "--to"}, "give --to"),
        (
            {"location": "West Europe", "key_vault": "my--vault"},
            {"location": "--region"},
            (
                "--region: an Azure region, as in westeurope, not 'West Europe'\n"
                "ERROR: --key-vault: 3 to 24 letters, digits and single '-', starting with a letter, not 'my--vault'"
            ),
        ),
    ],
)
def test_names_that_azure_would_not_take_are_told_all_at_once(
    given_names: dict[str, str], options: dict[str, str] | None, said: str
) -> None:
    with pytest.raises(Failure) as refused:
        names.check(given_names, options)
    assert str(refused.value).startswith(said)
    assert refused.value.code == WRONG_USE


def test_good_names_are_taken() -> None:
    names.check({"subscription_id": GUID, "location": "westeurope"}, {"location": "--region"})
    names.check_model("churn_model")


@pytest.mark.parametrize("name", ["class", "json", "Churn", ""])
def test_a_model_is_called_as_its_folder_can_be_in_python(name: str) -> None:
    with pytest.raises(Failure, match="the model's name") as refused:
        names.check_model(name)
    assert refused.value.code == WRONG_USE
