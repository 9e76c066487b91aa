from __future__ import annotations

from pathlib import Path

import pytest

from jec_assets.serving.access import Access, AccessError


def test_a_token_is_read_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    access = Access.by_files(tmp_path / "token")
    assert access.headers == {"authorization": "Bearer secret"}
    assert "secret" not in repr(access)
    assert Access().headers == {}


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match=r"the token can't be read.*missing"):
        Access.by_files(tmp_path / "missing")
    for token in ("", "two words", "with\r\nX-Header: y"):
        with pytest.raises(AccessError, match="no line ends"):
            Access(token)
    (tmp_path / "ca.crt").write_text("no certificate")
    for certificates in (tmp_path / "ca.crt", tmp_path / "missing.crt"):
        with pytest.raises(AccessError, match="crt holds no certificates"):
            _ = Access(certificates=certificates).context
