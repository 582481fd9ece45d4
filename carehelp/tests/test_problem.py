"""What an error says, in the reader's language."""

from django.utils import translation

from carehelp.errors import TooLarge, Unavailable
from carehelp.problem import as_problem


def test_a_sentence_names_the_errors_members_in_french():
    with translation.override("fr"):
        assert (
            as_problem(TooLarge("At most {limit} bytes.", limit=7))["detail"] == "Au plus 7 octets."
        )


def test_braces_that_name_no_member_stay_as_they_are():
    said = 'lmstudio: 400 {"error": {"code": 1}} {code} {}'
    assert as_problem(Unavailable(said, reason="down"))["detail"] == said
