"""Whatever nginx says or has, each parser gives a value, a told problem or an error of the program."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import SERVER, FakeClock, spec
from support.fuzz import KEPT, NAME, damaged, noise, often

from renewer.core.model import Material
from renewer.nginx import configuration, control, generations, processes, targets
from renewer.nginx import helper as request
from renewer.nginx.error_log import ErrorLog
from renewer.nginx.layout import Layout, folder_named
from renewer.system import proc

words = st.sampled_from(
    [
        "http",
        "server",
        "listen",
        "include",
        "ssl_certificate",
        "ssl_certificate_key",
        "server_name",
        "set",
        "$rn_scope",
        "pid",
        "error_log",
        "if",
        "ssl",
        "on",
        "proxy_protocol",
        "443",
        "[::]:443",
        "unix:/x",
        "*:99999",
        "{",
        "}",
        "{",
        "}",
        ";",
        ";",
        ";",
        '"',
        "'",
        "\\",
        "#",
        "~",
        "(",
        ")",
        "*.conf",
        "main.conf",
        "/etc/p*",
    ]
)
nginx_texts = (
    st.lists(words, max_size=25).map(" ".join).map(str.encode)
    | damaged(b'http { ssl on; server { listen [::1]:443 ssl; server_name .a.example; set $rn_scope "x"; } }')
    | noise
)


class TestNginx:
    @often(20)
    @given(nginx_texts)
    def test_any_configuration_is_read(self, tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
        folder = tmp_path_factory.getbasetemp() / "nginx"
        folder.mkdir(exist_ok=True)
        main = folder / "main.conf"
        main.write_bytes(text)
        read = configuration.read(str(main))
        targets.discover(read, Layout(folder), spec(), None)
        control.Control("nginx", str(main), "auto", FakeClock()).resolved(read.pid or "/x", "--pid-path")

    @often(10)
    @given(st.text(max_size=20) | words | st.from_regex(r"(\[[0-9a-f:]*\]|[0-9.]*)(:[0-9]{0,6}){0,2}"))
    def test_any_address_is_one_or_none(self, text: str) -> None:
        found = configuration.endpoint(text)
        assert found is None or 0 <= found[1] <= 65535

    @often(10)
    @given(noise | st.integers().map(str).map(str.encode) | st.just(b"9" * 5000))
    def test_any_pid_file_names_a_process_or_none(
        self, tmp_path_factory: pytest.TempPathFactory, text: bytes
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "nginx.pid"
        path.write_bytes(text)
        processes.accepting(processes.master(path))

    @often(10)
    @given(
        st.lists(noise | st.just(b"2026/11/23 12:00:00 [emerg] 1#1: bind() failed"), max_size=4).map(
            b"\n".join
        ),
        st.integers(0, 2**70),
    )
    def test_any_error_log_has_a_last_word_or_none(
        self, tmp_path_factory: pytest.TempPathFactory, text: bytes, mark: int
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "error.log"
        path.write_bytes(text)
        ErrorLog(path).since(min(mark, path.stat().st_size * 2))
        control.words(text.decode(errors="replace"))

    @often(10)
    @given(noise, noise)
    def test_any_title_of_a_process_is_read(
        self, tmp_path_factory: pytest.TempPathFactory, name: bytes, title: bytes
    ) -> None:
        folder = tmp_path_factory.getbasetemp() / "proc"
        (folder / "1/task/1").mkdir(parents=True, exist_ok=True)
        (folder / "2").mkdir(exist_ok=True)
        (folder / "1/task/1/children").write_text("2 3 ")
        (folder / "2/cmdline").write_bytes(title + b"nginx: worker process")
        (folder / "2/stat").write_bytes(b"2 (" + name[:15] + b") S " + b"1 " * 40)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(proc, "ROOT", str(folder))
            assert processes.accepting(processes.Master(1)) == {2}
            assert processes.all_since(processes.Master(1), 0.0) is True

    @often(10)
    @given(
        noise
        | st.builds(
            lambda folder: b"ssl_certificate %s/fullchain.pem;" % folder,
            st.sampled_from(
                [b"/a", b"HOME/g000001", b"HOME/g\0", b"HOME/..", b"HOME/\xff", b"//", b"HOME/" + b"g" * 300]
            ),
        )
    )
    def test_any_text_in_the_place_of_a_pointer_names_a_whole_generation_or_none(
        self, tmp_path_factory: pytest.TempPathFactory, text: bytes
    ) -> None:
        layout = Layout(tmp_path_factory.getbasetemp() / "pointers")
        home = layout.home(NAME)
        for folder in (home, layout.include(NAME).parent):
            folder.mkdir(parents=True, exist_ok=True)
        layout.include(NAME).write_bytes(text.replace(b"HOME", str(home).encode()))
        on_disk = generations.Generations(layout)
        assert on_disk.shown(NAME) is None
        assert on_disk.published(NAME, Material((KEPT,), SERVER)) is False
        on_disk.sweep(NAME)
        folder_named(text)

    @often(4)
    @given(noise | st.lists(noise, max_size=5).map(lambda lines: b"\n".join([b"0123456789abcdef", *lines])))
    def test_any_answer_of_the_reload_helper_is_one_or_none(
        self, tmp_path_factory: pytest.TempPathFactory, text: bytes
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "result"
        path.write_bytes(text)
        helper = request.Helper(path.with_name("request"), path)
        answer = helper._answer("0123456789abcdef")
        assert answer is None or control.words(answer.text)
