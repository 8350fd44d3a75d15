#!/usr/bin/env python3
"""protoc-gen-fzctl: what it refuses, and that all it makes is what it made before. FZ_RECORD=1 records anew, so that a
change of any output shows in review."""
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

import fz

GOLDEN = os.path.join(fz.SOURCE, "tests", "ipc", "golden")
WHOLE = ["cli/firezonectl.1", "cli/firezonectl.schema.json", "cli/firezonectl.bash", "firezone/messages.h"]
SUMMED = ["ipc/methods.h", "ipc/methods.c", "ipc/handlers.h", "ipc/handlers.c", "ipc/meta.c", "cli/verbs.c",
          "cli/_firezonectl", "cli/firezonectl.fish", "cli/completions.c", "firezone/calls.c"]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def check(name, text):
    path = os.path.join(GOLDEN, name)
    assert not re.match(r"[0-9]", name), "a released protocol's frames are recorded once (tests/unit/test_ipc_golden.c)"
    if os.environ.get("FZ_RECORD"):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    if read(path) != text:
        import difflib
        diff = "\n".join(list(difflib.unified_diff(read(path).splitlines(), text.splitlines(), "golden", "now", "", "", 1))[:40])
        raise AssertionError(f"{name} changed; if that is meant, record it with FZ_RECORD=1\n{diff}")


def test_the_listing_of_the_interface_is_the_one_in_the_tree():
    path = os.path.join(fz.SOURCE, "ipc", "golden", "firezone.txt")
    if os.environ.get("FZ_RECORD"):
        shutil.copy(os.path.join(fz.GEN, "golden.txt"), path)
    assert read(path) == read(os.path.join(fz.GEN, "golden.txt")), "ipc/golden/firezone.txt is not up to date"


def test_what_people_read_is_unchanged():
    for name in WHOLE:
        check(os.path.basename(name) + ".txt", read(os.path.join(fz.GEN, name)))


def test_all_other_outputs_are_unchanged():
    sums = "".join(f"{hashlib.sha256(read(os.path.join(fz.GEN, n)).encode()).hexdigest()}  {n}\n" for n in SUMMED)
    check("outputs.sha256", sums)


def test_help_is_unchanged():
    commands = [""] + [c for c in re.findall(r"^  ([a-z][a-z-]*(?: [a-z]+)?)  ", fz.cli("/nowhere", "--help").stdout, re.M)]
    text = ""
    for command in commands:
        result = fz.cli("/nowhere", *command.split(), "--help")
        assert result.returncode == 0, command
        text += f"$ firezonectl {command} --help\n{result.stdout}\n"
    check("help.txt", text)


def generate(change, then=None):
    """Runs the plugin on a changed firezone.proto; its exit code and what it said. `then` looks at what it made."""
    directory = tempfile.mkdtemp(prefix="fz-gen-")
    shutil.copytree(os.path.join(fz.SOURCE, "ipc"), directory + "/ipc", ignore=shutil.ignore_patterns("*.c", "*.h"))
    path = directory + "/ipc/firezone.proto"
    old = read(path)
    new = change(old)
    assert new != old, "the change changes something"
    with open(path, "w") as f:
        f.write(new)
    os.mkdir(directory + "/out")
    for part in ("ipc", "cli", "firezone"):
        os.mkdir(f"{directory}/out/{part}")
    result = subprocess.run(["protoc", "-I" + directory, "-I/usr/include",
                             "--plugin=protoc-gen-fzctl=" + os.path.join(fz.BUILD, "bin", "protoc-gen-fzctl"),
                             f"--fzctl_out=golden={directory}/ipc/golden/firezone.txt:{directory}/out",
                             "ipc/firezone.proto"], capture_output=True, text=True,
                            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    if then and result.returncode == 0:
        then(directory + "/out")
    shutil.rmtree(directory)
    return result.returncode, result.stderr


def refuses(message, old, new, count=1):
    code, text = generate(lambda s: s.replace(old, new, count))
    assert code != 0 and message in text, (message, text)


def test_a_method_without_permission_limits_id_or_summary_is_refused():
    refuses("no permission", "id: 1 permission: READ ", "id: 1 ")
    refuses("no max_bytes", "max_bytes: 64 when: ANY per_minute: 600 since", "when: ANY per_minute: 600 since")
    refuses("no per_minute", "per_minute: 600 since: 0 idempotent: true landed: true };", "since: 0 landed: true };")
    refuses("no when", "max_bytes: 64 when: ANY per_minute: 600", "max_bytes: 64 per_minute: 600")
    refuses("no service_mode", "permission: READ service_mode: SAME", "permission: READ")
    refuses("no since", "per_minute: 600 since: 0", "per_minute: 600")
    refuses("no id", "{ id: 1 permission", "{ permission")
    refuses("no summary", 'summary: "Show the state of the connection" ', "")
    refuses("no comment", "  // Shows the state of the connection, the account, the tunnel and what is wrong, if anything is.\n",
            "")


def test_an_id_or_a_command_used_twice_is_refused():
    refuses("id 5 is also", "id: 6 permission", "id: 5 permission")
    refuses('command "status" twice', 'command: "watch"', 'command: "status"')


def test_a_released_field_id_or_type_that_changes_is_refused():
    refuses("released and now gone or changed: field Status 3", "optional bool service_mode = 3", "optional uint32 service_mode = 3")
    refuses("released and now gone or changed: field Portal 2", "optional string url = 2;", "optional string url = 9;")
    refuses("released and now gone or changed: enum Status.State 5", "UP = 5;", "UP = 55;")
    refuses("released and now gone or changed: method 4", "{ id: 4 permission", "{ id: 14 permission")


def test_a_new_field_is_welcome():
    code, text = generate(lambda s: s.replace("optional string url = 2;", "optional string url = 2;\n  optional string new = 99;"))
    assert code == 0, text


def test_what_is_designed_for_later_is_left_out_and_the_rest_compiles():
    def compile_all(out):
        assert "wait_for" not in read(out + "/ipc/handlers.h") and "wait" not in re.findall(
            r'command = "(\w+)"', read(out + "/cli/verbs.c")), "a method that has not landed is in no output"
        for name in ("ipc/methods.c", "ipc/handlers.c", "ipc/meta.c", "cli/verbs.c", "cli/completions.c", "firezone/calls.c"):
            subprocess.run(["cc", "-std=gnu2x", "-fsyntax-only", "-Wall", "-Werror", "-I" + out, "-I" + fz.GEN, "-I" + fz.SOURCE,
                            "-I" + fz.SOURCE + "/engine", f"{out}/{name}"], check=True)
        page = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", out + "/cli/firezonectl.1"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert not page.stderr, page.stderr
        for shell, name in (("bash", "firezonectl.bash"), ("zsh", "_firezonectl"), ("fish", "firezonectl.fish")):
            if not shutil.which(shell):
                raise fz.Skip(f"{shell} is not here")
            subprocess.run([shell, "-n", f"{out}/cli/{name}"], check=True)
    code, text = generate(lambda s: re.sub(r"(id: 6 permission[^}]*)landed: true", r"\1landed: false", s), compile_all)
    assert code == 0, text


def test_an_output_template_that_names_no_field_is_refused():
    refuses("output names tunnel.nope", "{tunnel.interface}", "{tunnel.nope}")
    refuses("brackets do not nest", "[   up {daemon.started}]", "[   up [{daemon.started}]]")
    refuses("a brace is left open", "Since     {since}", "Since     {since")


def test_a_secret_that_would_come_from_the_command_line_is_refused():
    refuses("would come from the command line", 'no_flag: true secret: true', 'help: "x" secret: true')


def test_a_message_that_contains_itself_is_refused():
    refuses("contains itself", "message StatusRequest {\n", "message StatusRequest {\n  optional StatusRequest again = 1;\n")


def test_a_flag_that_clashes_with_a_global_one_is_refused():
    refuses("is a global flag", 'local: { flag: "check"', 'local: { flag: "quiet"')


def library():
    return os.path.join(fz.BUILD, "lib", "libfirezone-client.so.0")


def test_the_library_exports_the_symbols_on_the_list_and_no_others():
    if fz.is_sanitized():
        raise fz.Skip("allowed: a sanitizer is in the library")
    out = subprocess.run(["nm", "-D", "--defined-only", library()], capture_output=True, text=True, check=True).stdout
    names = sorted(line.split()[2] for line in out.splitlines() if line.split()[1] != "A")
    check("client.symbols", "".join(n + "\n" for n in names))
    dynamic = subprocess.run(["readelf", "-d", library()], capture_output=True, text=True).stdout
    assert "libfirezone-client.so.0" in re.search(r"SONAME.*", dynamic).group()


def test_the_example_compiles_against_the_installed_library_and_runs():
    if fz.is_sanitized():
        raise fz.Skip("allowed: a sanitizer is in the library")
    prefix = tempfile.mkdtemp(prefix="fz-gen-")
    os.chmod(prefix, 0o755)
    for component in ("client", "client-dev"):
        subprocess.run(["cmake", "--install", fz.BUILD, "--component", component, "--prefix", prefix], check=True,
                       stdout=subprocess.DEVNULL)
    pc = glob.glob(prefix + "/lib/**/firezone-client.pc", recursive=True)[0]
    libdir = os.path.dirname(os.path.dirname(pc))
    if not shutil.which("pkg-config"):
        raise fz.Skip("pkg-config is not here")
    # The prefix is that of the build; here it is installed elsewhere.
    flags = subprocess.run(["pkg-config", f"--define-variable=prefix={prefix}", "--cflags", "--libs", "firezone-client"],
                           env={**os.environ, "PKG_CONFIG_PATH": os.path.dirname(pc)}, capture_output=True, text=True, check=True)
    assert not flags.stderr, flags.stderr
    flags = flags.stdout.strip()
    assert "-lfirezone-client" in flags and "protobuf" not in flags, flags
    source = os.path.join(fz.SOURCE, "tests", "ipc", "example.c")
    assert len(read(source).splitlines()) <= 40
    subprocess.run(f"cc -std=c11 -Wall -Wextra -Wpedantic -Werror {source} -o {prefix}/example {flags}", shell=True, check=True)
    subprocess.run(f"echo '#include <firezone/client.h>' | c++ -std=c++11 -Wall -Wpedantic -Werror -x c++ -fsyntax-only - {flags}",
                   shell=True, check=True)
    with fz.Daemon() as d:
        out = subprocess.run([prefix + "/example"], env={"LD_LIBRARY_PATH": libdir, "FIREZONE_SOCKET": d.path},
                             capture_output=True, text=True, timeout=20)
        assert out.stdout == "state 5, 2 warnings\nevent 1: account acme\n" and out.returncode == 0, out
    out = subprocess.run([prefix + "/example"], env={"LD_LIBRARY_PATH": libdir, "FIREZONE_SOCKET": "/nonexistent"},
                         capture_output=True, text=True)
    assert out.returncode == 1 and "not running" in out.stderr
    shutil.rmtree(prefix)


if __name__ == "__main__":
    fz.run_tests(sys.modules[__name__])
