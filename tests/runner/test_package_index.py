from __future__ import annotations

from pathlib import Path

from dora.runner.package_index import settings_for_uv

NOWHERE = {
    "XDG_CONFIG_DIRS": "/no/such",
    "XDG_CONFIG_HOME": "/no/such",
    "HOME": "/no/such",
    "PIP_CONFIG_FILE": "/dev/null",
}


def test_without_settings_of_pip_uv_gets_none() -> None:
    assert settings_for_uv(NOWHERE) == {}


def test_variables_of_pip_become_variables_of_uv() -> None:
    environ = NOWHERE | {
        "PIP_INDEX_URL": "https://mirror/simple",
        "PIP_EXTRA_INDEX_URL": "https://a https://b",
        "PIP_FIND_LINKS": "/wheels",
        "PIP_TRUSTED_HOST": "mirror",
        "PIP_CERT": "/cert.pem",
    }
    assert settings_for_uv(environ) == {
        "UV_DEFAULT_INDEX": "https://mirror/simple",
        "UV_INDEX": "https://a https://b",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels",
        "UV_INSECURE_HOST": "mirror",
        "SSL_CERT_FILE": "/cert.pem",
    }


def test_configuration_file_of_pip_is_read_and_a_variable_wins(tmp_path: Path) -> None:
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "pip.conf").write_text(
        "[global]\nindex-url = https://file/simple\nno-index = true\n[install]\nfind_links =\n    /a\n    /b\n"
    )
    del (environ := NOWHERE | {"XDG_CONFIG_HOME": str(tmp_path), "PIP_INDEX_URL": "https://v"})["PIP_CONFIG_FILE"]
    settings = settings_for_uv(environ)
    assert (settings["UV_DEFAULT_INDEX"], settings["UV_NO_INDEX"], settings["UV_FIND_LINKS"]) == (
        "https://v",
        "1",
        "/a,/b",
    )


def test_settings_of_uv_itself_are_left_alone() -> None:
    assert settings_for_uv(NOWHERE | {"PIP_INDEX_URL": "https://mirror", "UV_INDEX_URL": "https://own"}) == {}


def test_damaged_configuration_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("not a section\n")
    without = settings_for_uv(NOWHERE | {"PIP_CONFIG_FILE": "/no/such"})
    assert settings_for_uv(NOWHERE | {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}) == without
