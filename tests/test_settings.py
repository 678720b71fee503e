import pytest

from actormq.errors import SetupError
from actormq.settings import NAME_PATTERN, NodeOptions, Settings, checked


def test_nothing_need_be_said():
    settings = checked({})

    assert settings == Settings()
    assert settings.mesh == "default"
    assert settings.discovery
    assert not settings.insecure_lan


def test_what_is_said_is_taken():
    settings = checked({"name": "roof", "mesh": "home", "port": 4711, "join": ["10.0.0.2:4711"]})

    assert (settings.name, settings.mesh, settings.port) == ("roof", "home", 4711)
    assert settings.join == ("10.0.0.2:4711",)


def test_a_whole_number_of_seconds_is_a_number_of_seconds():
    assert checked({"ask_timeout": 2}).ask_timeout == 2.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mehs": "home"}, "unknown setting 'mehs'"),
        ({"port": "4711"}, "port"),
        ({"port": 65_536}, "port"),
        ({"port": -1}, "port"),
        ({"mesh": ""}, "mesh name ''"),
        ({"mesh": "two words"}, "mesh name 'two words'"),
        ({"mesh": "x" * 64}, "1 to 63"),
        ({"mesh": "home\n"}, "mesh name"),
        ({"name": "-roof"}, "node name '-roof'"),
        ({"name": "roof\x1b[2J"}, "node name"),
        ({"join": "10.0.0.2:4711"}, "list of 'HOST:PORT'"),
        ({"join": ["10.0.0.2:http"]}, "no HOST or HOST:PORT"),
        ({"dns": "nodes.lab"}, "list of 'NAME'"),
        ({"dns": ["10.0.0.2"]}, "no name for DNS"),
        ({"join": [4711]}, "join"),
        ({"ask_timeout": 0}, "ask_timeout"),
        ({"ask_timeout": "soon"}, "ask_timeout"),
        ({"shutdown_timeout": -1.0}, "shutdown_timeout"),
        ({"mailbox_limit": 0}, "mailbox_limit"),
        ({"message_limit": 10}, "message_limit"),
        ({"discovery": 1}, "discovery"),
        ({"lan": True}, "--insecure-lan"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_the_settings_name(options, says):
    with pytest.raises(SetupError) as caught:
        checked(options)

    assert says in str(caught.value)


def test_an_unknown_setting_is_answered_with_those_there_are():
    with pytest.raises(SetupError, match="a node knows name, mesh, join"):
        checked({"colour": "red"})


def test_options_and_settings_have_the_same_names():
    assert set(NodeOptions.__annotations__) == set(Settings.__struct_fields__)


@pytest.mark.parametrize("name", ["home", "Home-2", "a", "x" * 63, "0.lab_1"])
def test_names_that_fit_a_dns_label(name):
    assert NAME_PATTERN.match(name)
