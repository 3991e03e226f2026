#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""packaging.py SOURCE CC [NANOPB_INCLUDE] - the form of what other build systems read.

Zephyr's module.yml and Kconfig, and ESP-IDF's idf_component.yml, are read by the readers that those
use; what they name must be there. Their CMake files run against stand-ins of those systems'
functions (tests/install/packaging), and what they list must compile and be the library's own list.
Neither Zephyr nor ESP-IDF is run. Exit status 77 without PyYAML or Kconfiglib.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

try:
    import kconfiglib
    import yaml
except ImportError as missing:
    print(f"skipped: no {missing.name} (Debian: python3-yaml python3-kconfiglib)")
    sys.exit(77)

FAILED = []


def check(what, condition):
    if not condition:
        FAILED.append(what)
        print(f"FAILED: {what}")


def listed(path, name):
    """Sources in a list file: the names of set(NAME ...)."""
    text = re.sub(r"#[^\n]*", "", path.read_text(encoding="utf-8"))
    body = re.search(rf"set\({name}\s+(.*?)\)", text, re.S).group(1)
    return {entry.rsplit("/", 1)[-1] for entry in body.split()}


def built(directory, arguments, cc):
    """Configures and builds a stand-in; the sources that its library got."""
    with tempfile.TemporaryDirectory() as build:
        for command in (["cmake", "-S", directory, "-B", build, "-G", "Ninja",
                         f"-DCMAKE_C_COMPILER={cc}", *arguments], ["cmake", "--build", build]):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, timeout=300, check=False)
            if done.returncode != 0:
                print(done.stdout[-3000:])
                check(f"{directory.name}: {' '.join(map(str, command[:2]))}", False)
                return None
        sources = pathlib.Path(build, "sources.txt")
        return sources.read_text(encoding="utf-8").split(";") if sources.exists() else []


def compare(what, sources, wanted):
    if sources is None:
        return
    for path in sources:
        check(f"{what}: {path} is there", path.endswith((".pb.c", ".pb.h")) or
              pathlib.Path(path).exists())
    got = {path.rsplit("/", 1)[-1] for path in sources if not path.endswith((".pb.c", ".pb.h"))}
    check(f"{what}: {got ^ wanted} in one list alone", got == wanted)


def zephyr_form(root, cc, include, lists):
    module = yaml.safe_load((root / "zephyr/module.yml").read_text(encoding="utf-8"))
    check("module.yml: name", module.get("name") == "healthtel")
    build = module.get("build", {})
    check("module.yml: keys", (set(module), set(build)) ==
          ({"name", "build"}, {"cmake", "kconfig"}))
    check("module.yml: cmake", (root / build.get("cmake", "?") / "CMakeLists.txt").is_file())
    kconfig = root / build.get("kconfig", "?")
    with tempfile.NamedTemporaryFile("w", suffix=".Kconfig") as whole:
        # The two symbols are Zephyr's.
        for symbol in ("NANOPB", "MBEDTLS"):
            whole.write(f'config {symbol}\n\tbool "{symbol}"\n\n')
        whole.write(f'source "{kconfig}"\n')
        whole.flush()
        tree = kconfiglib.Kconfig(whole.name, warn_to_stderr=False)
    check(f"Kconfig: {tree.warnings}", not tree.warnings)
    symbols = {name for name in tree.syms if name.startswith("HEALTHTEL")}
    cmake = (root / "ports/zephyr/CMakeLists.txt").read_text(encoding="utf-8")
    check("Kconfig and CMakeLists.txt name the same",
          symbols == set(re.findall(r"CONFIG_(HEALTHTEL\w*)", cmake)))
    tree.syms["HEALTHTEL"].set_value(2)
    check("Kconfig: needs nanopb", tree.syms["HEALTHTEL"].str_value == "n")
    tree.syms["NANOPB"].set_value(2)
    check("Kconfig: and is on with it", tree.syms["HEALTHTEL"].str_value == "y")
    tree.syms["HEALTHTEL_TLS"].set_value(2)
    check("Kconfig: TLS needs mbedTLS", tree.syms["HEALTHTEL_TLS"].str_value == "n")

    stand_in = root / "tests/install/packaging/zephyr"
    given = [f"-DMODULE={root}", f"-DNANOPB_INCLUDE={include}", "-DMBEDTLS_INCLUDE=/usr/include"]
    compare("zephyr, core", built(stand_in, given + ["-DCONFIG_HEALTHTEL=y"], cc), lists["core"])
    all_on = [f"-DCONFIG_{name}=y" for name in symbols]
    compare("zephyr, all", built(stand_in, given + all_on, cc),
            lists["core"] | lists["mqtt"] | lists["mbedtls"])
    check("zephyr: nothing when it is off", built(stand_in, given, cc) == [])


def idf_form(root, cc, include, lists, version):
    component = yaml.safe_load((root / "idf_component.yml").read_text(encoding="utf-8"))
    check("idf_component.yml: version", component.get("version") == version)
    check("idf_component.yml: keys",
          set(component) == {"version", "description", "license", "dependencies", "files"})
    check("idf_component.yml: idf", "version" in component["dependencies"]["idf"])
    for pattern in component["files"]["exclude"]:
        check(f"idf_component.yml: {pattern} excludes something",
              (root / pattern.split("/")[0]).is_dir())
    with tempfile.TemporaryDirectory() as nanopb: # sources, as the component wants them
        for name in ("pb.h", "pb_encode.h", "pb_decode.h", "pb_common.h"):
            shutil.copy(pathlib.Path(include, name), nanopb)
        for name in ("common", "encode", "decode"):
            pathlib.Path(nanopb, f"pb_{name}.c").write_text(
                f'#include "pb_{name}.h"\n', encoding="utf-8")
        given = [f"-DCOMPONENT={root}", f"-DNANOPB_ROOT={nanopb}", "-DMBEDTLS_INCLUDE=/usr/include"]
        for best in ("ON", "OFF"):
            compare(f"esp-idf, BEST {best}",
                    built(root / "tests/install/packaging/esp-idf",
                          given + [f"-DHEALTHTEL_BEST={best}"], cc),
                    lists["core"] | lists["mqtt"] | lists["mbedtls"])


def main():
    root, cc = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    include = sys.argv[3] if len(sys.argv) > 3 else "/usr/include"
    lists = {"core": listed(root / "src/sources.cmake", "HEALTHTEL_SOURCE_NAMES"),
             "mqtt": listed(root / "ports/mqtt/sources.cmake", "HEALTHTEL_MQTT_SOURCES"),
             "mbedtls": listed(root / "ports/mbedtls/sources.cmake", "HEALTHTEL_MBEDTLS_SOURCES")}
    for name, folder in (("core", "src"), ("mqtt", "ports/mqtt"), ("mbedtls", "ports/mbedtls")):
        there = {path.name for path in (root / folder).glob("*.c")}
        check(f"{folder}/sources.cmake: {there ^ lists[name]} in one place alone",
              there == lists[name])
    header = (root / "include/healthtel/healthtel.h").read_text(encoding="utf-8")
    version = re.search(r'HTEL_VERSION "(.*)"', header).group(1)
    project = re.search(r"VERSION ([0-9.]+) LANGUAGES",
                        (root / "CMakeLists.txt").read_text(encoding="utf-8")).group(1)
    check("CMakeLists.txt: version", project == version)
    zephyr_form(root, cc, include, lists)
    idf_form(root, cc, include, lists, version)
    print("packaging: of good form" if not FAILED else f"packaging: {len(FAILED)} failed")
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
