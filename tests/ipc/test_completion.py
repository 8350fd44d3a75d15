#!/usr/bin/env python3
"""Completions in real shells at a prompt on a terminal: what is offered, and that a name somebody else chose arrives in
firezonectl's argv as it is, without a word of it run, expanded or split."""
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import fz

PROMPT = "@@> "


def install(shell):
    """A directory with the shell's script and a firezonectl that notes how it was called; only __complete is real."""
    directory = tempfile.mkdtemp(prefix="fz-ipc-")
    name = {"bash": "firezonectl.bash", "zsh": "_firezonectl", "fish": "firezonectl.fish"}[shell]
    script = fz.cli("/nowhere", "completion", shell).stdout
    with open(os.path.join(fz.GEN, "cli", name)) as f:
        assert f.read().strip() == script.strip(), "the installed script is the printed one"
    with open(f"{directory}/{name}", "w") as f:
        f.write(script)
    with open(f"{directory}/firezonectl", "w") as f:
        f.write(f'#!/bin/sh\n[ "$1" != __complete ] || exec "{os.path.abspath(fz.CLI)}" "$@"\n'
                'for word in "$@"; do printf "%s\\0" "$word"; done >"$FZ_NOTE.part"\nmv "$FZ_NOTE.part" "$FZ_NOTE"\n')
    os.chmod(f"{directory}/firezonectl", 0o755)
    return directory


class Shell:
    """A shell at its prompt, with completions loaded."""

    def __init__(self, shell, daemon):
        if not shutil.which(shell):
            raise fz.Skip(f"{shell} is not here")
        self.shell, self.directory = shell, install(shell)
        self.note, self.shown, self.n_prompts = self.directory + "/note", "", 0
        self.env = {"PATH": self.directory + ":" + os.environ["PATH"], "FIREZONE_SOCKET": daemon.path, "TERM": "xterm",
                    "HOME": self.directory, "ZDOTDIR": self.directory, "XDG_CONFIG_HOME": self.directory,
                    "LC_ALL": "C.UTF-8", "FZ_NOTE": self.note, "INPUTRC": "/dev/null"}
        rc, argv = getattr(self, shell)()
        with open(self.directory + "/" + rc[0], "w") as f:
            f.write(rc[1])
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(self.directory)
            os.execvpe(argv[0], argv, self.env)
        self.wait_for_prompt()

    def bash(self):
        rc = f"PS1='{PROMPT}'; source {self.directory}/firezonectl.bash; bind 'set completion-query-items 0'; " \
             "bind 'set page-completions off'; bind 'set show-all-if-ambiguous on'; bind 'set enable-bracketed-paste off'\n"
        return ("rc", rc), ["bash", "--noprofile", "--rcfile", self.directory + "/rc", "-i"]

    def zsh(self):
        rc = f"PROMPT='{PROMPT}'; fpath=({self.directory} $fpath); autoload -Uz compinit; compinit -u -D; " \
             "unsetopt prompt_cr prompt_sp list_ambiguous; unset zle_bracketed_paste; LISTMAX=0; KEYTIMEOUT=1\n"
        return (".zshrc", rc), ["zsh", "-i"]

    def fish(self):
        rc = f"function fish_prompt; echo -n '{PROMPT}'; end; function fish_greeting; end; " \
             f"source {self.directory}/firezonectl.fish\n"
        return ("rc.fish", rc), ["fish", "--no-config", "-C", f"source {self.directory}/rc.fish"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        shutil.rmtree(self.directory)

    def read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            self.shown += os.read(self.fd, 65536).decode(errors="replace")
        except OSError as error:
            raise AssertionError(f"{self.shell} ended: {self.shown[-400:]!r}") from error
        return True

    def until(self, what, seconds):
        end = time.monotonic() + seconds
        while not what() and time.monotonic() < end:
            self.read(0.05)
        return what()

    def wait_for_prompt(self):
        assert self.until(lambda: PROMPT in self.shown, 30), f"{self.shell}: no prompt: {self.shown[-600:]!r}"
        while self.read(0.2):
            pass
        self.shown = ""

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def run(self, keys):
        """Types, presses Enter; the words firezonectl was called with, or what is shown if the line became no command."""
        if os.path.exists(self.note):
            os.remove(self.note)
        self.type(keys + "\r")
        if not self.until(lambda: os.path.exists(self.note), 10):
            shown = self.shown
            self.type("\x03")
            self.wait_for_prompt()
            return shown
        self.wait_for_prompt()
        with open(self.note) as f:
            return f.read().split("\0")[:-1]

    def completes(self, keys, want):
        """On a busy machine the daemon may answer too late for a prompt: then nothing is offered, and it is tried again."""
        for _ in range(3):
            words = self.run(keys)
            assert not os.path.exists(MARK), f"a name was run at {keys!r}"
            if words == want:
                return
        raise AssertionError(f"{self.shell}: {keys!r} became {words!r}")

    def offers(self, line):
        """What the shell shows after the line, and forgets the line."""
        self.shown = ""
        self.type(line + ("\x04" if self.shell == "zsh" else "\t\t"))
        while self.read(0.7):
            pass
        shown, self.shown = self.shown, ""
        self.type("\x03")
        self.wait_for_prompt()
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>()][AB]?", "", shown)


MARK = tempfile.mktemp(prefix="fz-ran-", dir="/tmp")
NAMES = ["web shop", 'it\'s "x"', f"$(touch {MARK})", f"`touch {MARK}`", "a:b=c @d", "back\\slash", "~root", "*glob?", "!bang",
         "{1,2}", f"semi;touch {MARK}", "b\u00fcro \u2603", "two\nlines", "-dash", "\x1b[31mred"]
# what is typed before Tab: plain, in double quotes and in single quotes where a shell has them
TYPED = {
    "bash": [("web shop", ["we", '"we', "'we", "web\\ ", '"web ']), (NAMES[1], ["it", '"it', '"it\'s \\"', "it\\'"]),
             (NAMES[2], ["\\$", "'$", "'$(touch ", '"\\$']), (NAMES[3], ["\\`", "'`", '"\\`t']),
             (NAMES[4], ["a", "a:", "a:b=", "a:b=c\\ ", "'a:", '"a:b=']), (NAMES[5], ["back", "back\\\\", "'back\\", '"back']),
             (NAMES[6], ["\\~", "'~"]), (NAMES[7], ["\\*", '"*']), (NAMES[8], ["\\!", "'!"]), (NAMES[9], ["\\{", "'{"]),
             (NAMES[10], ["semi", "'semi"]), (NAMES[11], ["b\u00fc", '"b\u00fc'])],
    "zsh": [("web shop", ["we", '"we', "'we", "web\\ "]), (NAMES[1], ["it", '"it']), (NAMES[2], ["\\$", "'$"]),
            (NAMES[3], ["\\`", "'`"]), (NAMES[4], ["a", "a:"]), (NAMES[5], ["back"]), (NAMES[6], ["\\~"]), (NAMES[7], ["\\*"]),
            (NAMES[9], ["\\{"]), (NAMES[10], ["semi", "'semi"]), (NAMES[11], ["b\u00fc"])],
    "fish": [("web shop", ["we", '"we', "'we", "web\\ "]), (NAMES[1], ["it", '"it']), (NAMES[2], ["\\$", "'$"]),
             (NAMES[3], ["\\`", "'`"]), (NAMES[4], ["a:"]), (NAMES[5], ["back"]), (NAMES[6], ["\\~"]), (NAMES[7], ["glob"]),
             (NAMES[8], ["!b"]), (NAMES[9], ["\\{"]), (NAMES[10], ["semi", "'semi"]), (NAMES[11], ["b\u00fc"])],
}


def named_daemon(names):
    return fz.Daemon(*[word for name in names for word in ("--name", name)])


def check_names(shell):
    with named_daemon(NAMES) as d, Shell(shell, d) as s:
        for name, starts in TYPED[shell]:
            for start in starts:
                s.completes(f"firezonectl resource show {start}\t", ["resource", "show", name])
        s.completes("firezonectl peer show semi\t", ["peer", "show", NAMES[10]])
        s.completes("firezonectl wait --resource we\t", ["wait", "--resource", "web shop"])
        s.completes("firezonectl wait --resource=we\t", ["wait", "--resource=web shop"])
        s.completes("firezonectl wait --resource=a:b=\t", ["wait", "--resource=a:b=c @d"])
        shown = s.offers("firezonectl resource show ")
        assert "prod-db" in shown and "shop" in shown and "touch" in shown, shown
        # names that are no words are offered by their ids
        assert all(f"id-{i}" in shown for i in (12, 13, 14)) and "two" not in shown and "red" not in shown, shown
        assert not os.path.exists(MARK), "a name was run when all were listed"
    for slug, start in ((f"$(touch {MARK})", "\\$"), ("a b", "a")):
        with named_daemon([slug]) as d, Shell(shell, d) as s:
            s.completes(f"firezonectl up --account {start}\t", ["up", "--account", slug])


def test_names_of_others_arrive_as_they_are_in_bash():
    check_names("bash")


def test_names_of_others_arrive_as_they_are_in_zsh():
    check_names("zsh")


def test_names_of_others_arrive_as_they_are_in_fish():
    check_names("fish")


def check_keys(shell):
    with fz.Daemon() as d, Shell(shell, d) as s:
        s.completes("firezonectl settings get log\t", ["settings", "get", "log_filter"])
        s.completes("firezonectl settings set api\twss://x/", ["settings", "set", "api_url", "wss://x/"])
        with open(s.directory + "/a file $(x).conf", "w"):
            pass
        s.completes("firezonectl settings validate a\\ f\t", ["settings", "validate", "a file $(x).conf"])
        s.completes("firezonectl --output=json\\l\t sta\t", ["--output=jsonl", "status"])
    # no daemon: nothing to offer, nothing said
    with Shell(shell, fz.Nowhere) as s:
        shown = s.offers("firezonectl resource show ")
        assert "rror" not in shown and "daemon" not in shown, shown


def test_settings_files_and_joined_flags_in_bash():
    check_keys("bash")


def test_settings_files_and_joined_flags_in_zsh():
    check_keys("zsh")


def test_settings_files_and_joined_flags_in_fish():
    check_keys("fish")


CASES = [  # line before the cursor, what must be offered, what must not
    ("firezonectl sta", {"status"}, {"watch"}),
    ("firezonectl ", {"status", "host", "settings", "completion"}, {"show", "__complete"}),
    ("firezonectl host ", {"show", "revert"}, {"status"}),
    ("firezonectl host revert --d", {"--dry-run"}, {"--follow"}),
    ("firezonectl logs --level ", {"err", "warning", "info", "debug"}, set()),
    ("firezonectl --output ", {"human", "json", "jsonl", "terse"}, {"yaml"}),
    ("firezonectl --json settings get ", {"api_url", "log_filter"}, set()),
    ("firezonectl watch --until sig", {"signed_out"}, {"up"}),
    ("firezonectl completion ", {"bash", "zsh", "fish"}, set()),
]


def check_cases(shell, complete):
    with fz.Daemon() as d, Shell(shell, d) as s:
        for line, want, never in CASES:
            offered = set()
            for _ in range(3):  # an interactive shell on a busy machine may be late
                offered = complete(s, line)
                if want <= offered:
                    break
            assert want <= offered, (line, offered)
            assert not never & offered, (line, offered)


def test_commands_flags_and_values_are_offered_in_bash():
    def complete(s, line):
        code = f"source {s.directory}/firezonectl.bash; COMP_LINE='{line}'; COMP_POINT={len(line)}; _firezonectl; " \
               'printf "%s\\n" "${COMPREPLY[@]}"'
        out = subprocess.run(["bash", "--norc", "-c", code], env=s.env, capture_output=True, text=True)
        assert not out.stderr, out.stderr
        return set(out.stdout.split())
    check_cases("bash", complete)


def test_commands_flags_and_values_are_offered_in_fish():
    def complete(s, line):
        out = subprocess.run(["fish", "--no-config", "-c", f"source {s.directory}/firezonectl.fish; complete -C '{line}'"],
                             env=s.env, capture_output=True, text=True)
        assert not out.stderr, out.stderr
        return {row.split("\t")[0] for row in out.stdout.splitlines()}
    check_cases("fish", complete)


def test_commands_flags_and_values_are_offered_in_zsh():
    def complete(s, line):
        words = set(re.findall(r"[\w-]+", s.offers(line))) - set(line.split())
        prefix = line.split(" ")[-1]  # the typed word may have been completed in place
        return words | {prefix + w for w in words if prefix}
    check_cases("zsh", complete)


if __name__ == "__main__":
    fz.run_tests(sys.modules[__name__])
