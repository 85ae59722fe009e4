"""What a place in the sources is, and what it mentions."""

import ast

import pytest

from tests.house.places import Place, Search, _mentioned, _places, c_function

SOURCE = '''
"""Of status."""
from a import told

TOLD: Final = told(1)
if told:
    one, TWO = f()

class Author(Person):
    """told"""
    status = DELIVERED

    def tell(self, item):
        def later():
            return item.told
        return Status.DELIVERED, "AWAY", later

async def wait():
    """told"""
    g(hears=1)
'''


@pytest.fixture(scope="module")
def places():
    found = {}
    for name, node in _places(ast.parse(SOURCE).body, ""):
        found.setdefault(name, set()).update(_mentioned(node))
    return found


def test_places_are_functions_methods_classes_and_names_of_modules(places):
    assert set(places) == {"TOLD", "one", "TWO", "Author", "Author.tell", "wait"}


def test_a_function_within_a_method_belongs_to_it(places):
    assert {"later", "told", "item.told"} <= places["Author.tell"]


def test_a_class_is_what_stands_in_its_body_outside_of_its_methods(places):
    assert {"Author", "Person", "status", "DELIVERED"} <= places["Author"]
    assert "Status" not in places["Author"]


def test_names_with_dots_texts_and_arguments_are_mentioned(places):
    assert {"Status.DELIVERED", "Status", "DELIVERED", "AWAY"} <= places["Author.tell"]
    assert "hears" in places["wait"]


def test_documentation_and_imports_mention_nothing(places):
    assert "told" not in places["wait"] | places["Author"]


def test_a_place_exists_by_its_file_and_name():
    assert Place.parse("shared/link/transitions.py:TRANSITIONS").exists
    assert not Place.parse("shared/link/transitions.py:NOTHING").exists
    assert not Place.parse("shared/nothing.py:TRANSITIONS").exists


def test_a_place_in_c_is_a_function_with_all_that_it_says():
    source = (
        "int g(int a);\n\nstatic int g(int a)\n{\n    if (a) {\n        f(a);\n    }\n    return 1; /* ONE */\n}\n"
    )
    found = c_function(source + "\nint f(\n    int a, int b)\n{\n    return 2;\n}\n", "g")
    assert found.startswith("static int g")
    assert found.endswith("/* ONE */\n}")
    assert c_function(source, "f") == ""


def test_a_search_may_be_for_all_of_some_names_or_for_a_part_of_a_text():
    here = ["tests/house/places.py"]
    assert [str(each) for each in Search(here, all=["_function", "places_of"]).places()] == [
        "tests/house/places.py:Place.exists",
        "tests/house/places.py:Place.mentions",
    ]
    assert [each.name for each in Search(here, text="(?m)^").places()] == ["C_FUNCTION"]
