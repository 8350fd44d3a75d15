#!/usr/bin/env python3
"""Proves that each check passes on a small good tree and fails on the one thing it is there to find."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
GOOD_HEADER = "/* A good header. */\n#pragma once\n\nint wg_noise_step(int x);\n"
GOOD_SOURCE = '/* A good source. */\n#include "wg/noise.h"\n\n#include <string.h>\n\nint wg_noise_step(int x)\n{\n\treturn x + 1;\n}\n'
NINJA = """rule cc
  command = cc -MD -MF $out.d -I{root} -I{root}/engine -c $in -o $out
  depfile = $out.d
  deps = gcc
build engine/wg/fz_wg.dir/noise.o: cc {root}/engine/wg/noise.c
"""


class Tree:
    """A tree of two files with a build of its own, gone when the test ends."""

    def __init__(self, test):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="fz-checks-"))
        test.addCleanup(shutil.rmtree, self.root)
        self.build = self.root / "build/dev"
        self.write("cmake/layers.toml", "\n".join(
            line for line in (HERE / "layers.toml").read_text().splitlines() if not line.startswith("#")))
        self.write(".gitignore", "build/\n")
        self.write("engine/wg/noise.h", GOOD_HEADER)
        self.write("engine/wg/noise.c", GOOD_SOURCE)
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def make(self):
        self.write("build/dev/build.ninja", NINJA.format(root=self.root))
        subprocess.run(["ninja", "-C", str(self.build)], check=True, capture_output=True)
        source = str(self.root / "engine/wg/noise.c")
        command = f"cc -I{self.root} -I{self.root}/engine -Wall -Werror -c {source}"
        self.write("build/dev/compile_commands.json", json.dumps([{"directory": str(self.build), "command": command, "file": source}]))

    def check(self, name, with_build=True):
        if with_build:
            self.make()
        words = [str(HERE / name)] + ([str(self.build)] if with_build else []) + ["--root", str(self.root)]
        out = subprocess.run(words, capture_output=True, text=True, check=False)
        return out.returncode, out.stdout + out.stderr


class ChecksCanFail(unittest.TestCase):
    def setUp(self):
        self.tree = Tree(self)

    def passes(self, check, with_build=True):
        code, text = self.tree.check(check, with_build)
        self.assertEqual(code, 0, text)

    def fails(self, check, words, with_build=True):
        code, text = self.tree.check(check, with_build)
        self.assertEqual(code, 1, text)
        self.assertIn(words, text)

    def test_layers_refuses_an_include_upwards_through_a_header_of_its_own(self):
        self.passes("check-layers")
        self.tree.write("engine/io/tun.h", "/* Above. */\n#pragma once\n")
        self.tree.write("engine/wg/noise.h", GOOD_HEADER + '#include "io/tun.h"\n')
        self.fails("check-layers", "engine/wg may not include engine/io/tun.h")

    def test_layers_refuses_a_system_header_in_a_pure_file(self):
        self.tree.write("engine/wg/noise.c", "#include <unistd.h>\n" + GOOD_SOURCE)
        self.fails("check-layers", "pure and may not include <unistd.h>")

    def test_layers_refuses_a_relative_include(self):
        self.tree.write("engine/wg/noise.c", GOOD_SOURCE.replace('"wg/noise.h"', '"../wg/noise.h"'))
        self.fails("check-layers", "not relative")

    def test_symbols_refuses_a_clock_in_a_pure_archive(self):
        self.passes("check-symbols")
        self.tree.write("engine/wg/noise.c", "#include <time.h>\n" + GOOD_SOURCE.replace("x + 1", "x + (int)clock()"))
        self.fails("check-symbols", "may not call clock")

    def test_symbols_refuses_malloc_and_the_log(self):
        body = "extern void fz_log(void *);\nvoid *malloc(unsigned long);\n" + GOOD_SOURCE.replace("return", "fz_log(malloc(8));\n\treturn")
        self.tree.write("engine/wg/noise.c", body)
        self.fails("check-symbols", "may not call malloc")
        self.fails("check-symbols", "may not call fz_log")

    def test_symbols_refuses_writable_state_but_not_tables_of_addresses(self):
        self.tree.write("engine/wg/noise.c", GOOD_SOURCE + 'const char *const names[] = { "a", "b" };\n')
        self.passes("check-symbols")
        self.tree.write("engine/wg/noise.c", GOOD_SOURCE + "int last_seen;\n")
        self.fails("check-symbols", "may not keep state in last_seen")

    def test_symbols_refuses_gpl_libraries_in_programs_that_are_to_have_none(self):
        self.tree.make()
        (self.tree.build / "bin").mkdir()
        fake = ["cc", "-shared", "-Wl,-soname,libwolfssl.so.35", "-x", "c", "/dev/null", "-o", str(self.tree.build / "libwolfssl.so")]
        subprocess.run(fake, check=True)
        self.tree.write("main.c", "int main(void) { return 0; }\n")
        program = ["cc", str(self.tree.root / "main.c"), "-Wl,--no-as-needed", str(self.tree.build / "libwolfssl.so")]
        subprocess.run([*program, "-o", str(self.tree.build / "bin/firezone-wg")], check=True)
        self.fails("check-symbols", "links libwolfssl")

    def test_headers_refuses_one_that_needs_another(self):
        self.passes("check-headers")
        self.tree.write("engine/wg/noise.h", GOOD_HEADER + "uint8_t wg_noise_byte(void);\n")
        self.tree.write("engine/wg/noise.c", "#include <stdint.h>\n" + GOOD_SOURCE)
        self.fails("check-headers", "does not compile alone")

    def test_headers_refuses_one_without_once_or_comment(self):
        self.tree.write("engine/wg/noise.h", "int wg_noise_step(int x);\n")
        self.fails("check-headers", "no #pragma once")
        self.fails("check-headers", "does not begin with a comment")

    def test_headers_compiles_public_ones_as_cpp(self):
        self.tree.write("ipc/io/client.h", "/* Public. */\n#pragma once\n\nint fzipc_open(int class);\n")
        self.fails("check-headers", "does not compile alone as c++")

    def test_banned_finds_calls_but_not_words_in_comments_and_strings(self):
        self.tree.write("engine/wg/noise.c", GOOD_SOURCE.replace("return", '/* strcpy(a, b) */\n\t(void)"atoi(x)";\n\treturn'))
        self.passes("check-banned", with_build=False)
        self.tree.write("engine/wg/noise.c", GOOD_SOURCE.replace("x + 1", 'atoi("1")'))
        self.fails("check-banned", "atoi is banned", with_build=False)

    def test_banned_finds_goto(self):
        self.tree.write("engine/wg/noise.c", GOOD_SOURCE.replace("return x", "goto out;\nout:\n\treturn x"))
        self.fails("check-banned", "goto is banned", with_build=False)

    def test_banned_finds_memcmp_beside_secrets(self):
        body = GOOD_SOURCE.replace("x + 1", "memcmp(&x, &x, 4)")
        self.tree.write("engine/wg/noise.c", body)
        self.passes("check-banned", with_build=False)
        self.tree.write("engine/wg/noise.c", '#include "base/secret.h"\n' + body)
        self.fails("check-banned", "memcmp in a file that handles secrets", with_build=False)

    def test_banned_finds_attributes_and_paths_of_one_machine(self):
        self.tree.write("engine/wg/noise.c", GOOD_SOURCE.replace("int wg", "__attribute__((cold)) int wg"))
        self.fails("check-banned", "attributes are spelled", with_build=False)
        self.tree.write("docs/x.md", "see /root/x\n")
        self.fails("check-banned", "names a place on one machine", with_build=False)

    def test_length_finds_a_long_function_unless_it_is_argued_for(self):
        self.passes("check-length", with_build=False)
        long = GOOD_SOURCE.replace("return", "x++;\n\t" * 60 + "return")
        self.tree.write("engine/wg/noise.c", long)
        self.fails("check-length", "a function of", with_build=False)
        self.tree.write("engine/wg/noise.c", long.replace("return", "/* length: a table in disguise */\n\treturn"))
        self.passes("check-length", with_build=False)

    def test_length_finds_a_long_file(self):
        self.tree.write("engine/wg/noise.c", GOOD_SOURCE + "/* */\n" * 800)
        self.fails("check-length", "lines, at most 800", with_build=False)

    def test_docs_finds_functions_files_and_links_that_are_not_there(self):
        self.tree.write("docs/x.md", "`wg_noise_step()` is in `engine/wg/{noise.c,noise.h}`, see [here](x.md#top)\n")
        self.passes("check-docs", with_build=False)
        self.tree.write("docs/x.md", "`wg_noise_leap()`\n")
        self.fails("check-docs", "no function wg_noise_leap()", with_build=False)
        self.tree.write("docs/x.md", "`engine/wg/noize.c`\n")
        self.fails("check-docs", "no file engine/wg/noize.c", with_build=False)
        self.tree.write("tests/unit/test_x.c", "TEST(x, is_true)\n{\n}\n")
        self.tree.write("docs/x.md", "`x/is_true`, `other/is_false`\n")
        self.passes("check-docs", with_build=False)
        self.tree.write("docs/x.md", "`x/is_false`\n")
        self.fails("check-docs", "no test x/is_false", with_build=False)
        self.tree.write("docs/x.md", "[there](y.md)\n")
        self.fails("check-docs", "a link to y.md", with_build=False)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze")
    def test_units_finds_words_unknown_to_systemd_and_services_that_are_exposed(self):
        good = (HERE.parent / "data/firezoned.service").read_text()
        self.tree.write("data/firezoned.socket", (HERE.parent / "data/firezoned.socket").read_text())
        self.tree.write("build/dev/bin/firezoned", "#!/bin/sh\n")
        (self.tree.build / "bin/firezoned").chmod(0o755)
        self.tree.write("data/firezoned.service", good)
        self.passes("check-units")
        self.tree.write("data/firezoned.service", good.replace("PrivateTmp=", "PrivateTemp="))
        self.fails("check-units", "Unknown key 'PrivateTemp'")
        self.tree.write("data/firezoned.service", good.replace("ProtectSystem=strict\n", "").replace("RestrictNamespaces=yes\n", ""))
        self.fails("check-units", "exposed by more than 2.0")
        self.tree.write("data/firezoned.service", good.replace("=/usr/sbin/firezoned", "=/usr/sbin/firezonedd"))
        self.fails("check-units", "not executable")

    def test_nothing_to_look_at_is_a_failure(self):
        (self.tree.root / "engine/wg/noise.c").unlink()
        (self.tree.root / "engine/wg/noise.h").unlink()
        self.fails("check-length", "found nothing to look at", with_build=False)


if __name__ == "__main__":
    unittest.main()
