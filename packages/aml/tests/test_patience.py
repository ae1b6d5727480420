"""Patience, by a clock of the tests: what is tried again, when, how often, and what is looked for before that."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from aml_project import patience
from aml_project.patience import PAUSES, patient
from aml_project.service.asking import ask
from tests.owner import Hurry


class Answer(Exception):
    """An answer of a service, by its status."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(f"answered {status}")
        self.status_code = status
        self.response = SimpleNamespace(status_code=status, headers=headers)


class Act:
    """Ends as it is told, one try after the other."""

    def __init__(self, *ends: Exception | str) -> None:
        self.ends, self.tries = list(ends), 0

    def __call__(self) -> str:
        self.tries += 1
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end


def passes(error: Exception) -> bool:
    return isinstance(error, Answer) and error.status_code >= 500


def about(*seconds: float) -> Callable[[list[float]], bool]:
    """Pauses of these lengths, each within its spread."""
    return lambda pauses: (
        len(pauses) == len(seconds)
        and all(abs(pause - wanted) <= patience.SPREAD * wanted for pause, wanted in zip(pauses, seconds, strict=True))
    )


def test_what_succeeds_is_done_once_and_nothing_is_looked_for(hurry: Hurry) -> None:
    act, find = Act("done"), Act()
    assert patient(act, passes=passes, find=find) == "done"
    assert (act.tries, find.tries, hurry.pauses) == (1, 0, [])


def test_trouble_that_passes_is_tried_again_after_each_pause(hurry: Hurry) -> None:
    act = Act(Answer(500), Answer(503), Answer(502), "done")
    heard: list[str] = []
    assert patient(act, passes=passes, trouble=lambda error: heard.append(str(error))) == "done"
    assert about(*PAUSES)(hurry.pauses)
    assert heard == ["answered 500"], "of the first trouble alone"


def test_when_the_pauses_are_over_the_last_trouble_is_raised(hurry: Hurry) -> None:
    act = Act(*[Answer(500 + number) for number in range(9)])
    with pytest.raises(Answer, match="answered 503"):
        patient(act, passes=passes)
    assert (act.tries, len(hurry.pauses)) == (4, 3)


def test_what_does_not_pass_is_not_tried_again_nor_looked_for(hurry: Hurry) -> None:
    act, find = Act(Answer(400), "never"), Act()
    with pytest.raises(Answer, match="answered 400"):
        patient(act, passes=passes, find=find)
    assert (act.tries, find.tries, hurry.pauses) == (1, 0, [])


def test_an_interruption_is_no_trouble(hurry: Hurry) -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        patient(interrupted, passes=lambda _: True)
    assert hurry.pauses == []


@pytest.mark.parametrize("there_after", [1, 2, 3, 4])
def test_what_has_arrived_though_its_answer_was_lost_is_not_done_again(hurry: Hurry, there_after: int) -> None:
    act = Act(*[Answer(500)] * 9)
    found = patient(act, passes=passes, find=lambda: "there" if act.tries >= there_after else None)
    assert (found, act.tries) == ("there", there_after), "also after the last try"
    assert len(hurry.pauses) == min(there_after, len(PAUSES)), (
        "it is looked for after the pause, just before another try"
    )


def test_nothing_that_is_false_is_still_found(hurry: Hurry) -> None:
    assert patient(Act(Answer(500)), passes=passes, find=lambda: "") == ""


def test_a_refused_token_is_renewed_once_and_without_a_pause(hurry: Hurry) -> None:
    renewed: list[Exception] = []

    def renew(error: Exception) -> bool:
        if error.args == ("answered 401",):
            renewed.append(error)
            return True
        return False

    assert patient(Act(Answer(401), "done"), passes=passes, renew=renew) == "done"
    assert (len(renewed), hurry.pauses) == (1, [])
    act = Act(Answer(500), Answer(401), Answer(500), Answer(401), "never")
    with pytest.raises(Answer, match="answered 401"):
        patient(act, passes=passes, renew=renew)
    assert (act.tries, len(renewed), len(hurry.pauses)) == (4, 2, 2)


def test_a_renewal_looks_first_whether_it_has_arrived(hurry: Hurry) -> None:
    act = Act(Answer(401), "never")
    assert patient(act, passes=passes, renew=lambda _: True, find=lambda: "there") == "there"
    assert act.tries == 1


def test_a_request_forgets_the_clients_tokens(hurry: Hurry) -> None:
    login = SimpleNamespace(_token_type_to_field_dict={"ARM": "arm", "GRAPH": "graph"}, arm="old", graph="old")
    assert ask(SimpleNamespace(_auth_object=login), Act(Answer(401), "done")) == "done"
    assert (login.arm, login.graph, hurry.pauses) == (None, None, [])


def test_a_request_waits_as_long_as_the_answer_asks_for_but_not_for_ever(hurry: Hurry) -> None:
    act = Act(Answer(429, **{"Retry-After": "7"}), Answer(429, **{"Retry-After": "9999"}), Answer(503), "done")
    assert ask(None, act) == "done"
    assert about(7, patience.LONGEST, PAUSES[2])(hurry.pauses)
    act = Act(Answer(503, **{"Retry-After": "Fri, 31 Dec 1999"}), "done")
    assert ask(None, act) == "done"
    assert about(PAUSES[0])(hurry.pauses[3:])


def test_what_an_answer_asks_for_is_heard_through_the_error_that_tells_of_it(hurry: Hurry) -> None:
    lost = ConnectionError("lost")
    lost.__cause__ = Answer(503, **{"Retry-After": "7"})
    assert patient(Act(lost, "done"), passes=lambda _: True) == "done"
    assert about(7)(hurry.pauses)


def test_many_who_have_failed_at_once_do_not_come_back_at_once() -> None:
    pauses = [patience.spread(10) for _ in range(100)]
    assert 10 * (1 - patience.SPREAD) <= min(pauses) < 10 < max(pauses) <= 10 * (1 + patience.SPREAD)


@pytest.mark.parametrize("error", [Answer(400), Answer(403), Answer(404), Answer(409), ValueError("no answer at all")])
def test_a_request_that_is_refused_is_not_sent_again(hurry: Hurry, error: Exception) -> None:
    act = Act(error, "never")
    with pytest.raises(type(error)):
        ask(None, act)
    assert (act.tries, hurry.pauses) == (1, [])


@pytest.mark.parametrize("error", [Answer(408), Answer(429), Answer(500), Answer(599), ConnectionError("lost")])
def test_a_request_whose_trouble_passes_is_sent_again(hurry: Hurry, error: Exception) -> None:
    assert ask(None, Act(error, "done")) == "done"


def test_pauses_until_a_time_is_over(hurry: Hurry) -> None:
    def slept(pauses: object) -> list[float]:
        began = len(hurry.pauses)
        for pause in pauses:  # type: ignore[attr-defined]
            hurry.sleep(pause)
        return hurry.pauses[began:]

    assert slept(patience.until(10, 4)) == [4, 4, 4]
    assert slept(patience.until(100, 1, 30)) == [1, 2, 4, 8, 16, 30, 30, 30]


def test_the_time_of_patience_begins_with_the_trouble(hurry: Hurry) -> None:
    act = Act(Answer(500), Answer(500), "done")

    def late() -> str:
        hurry.sleep(1000)  # until then all went well
        return act()

    assert patient(late, passes=passes, pauses=patience.until(1500, 1)) == "done"


def test_the_last_look_is_when_the_time_is_over(hurry: Hurry) -> None:
    began = hurry.jumped
    times = [hurry.jumped - began for _ in patience.looks(10, 4)]
    assert times == [0, 4, 8, 12]


def test_the_usual_clock_goes() -> None:
    clock = patience.Clock()
    began = clock.now()
    clock.sleep(0.01)
    assert clock.now() - began >= 0.01
