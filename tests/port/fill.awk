# SPDX-License-Identifier: Apache-2.0
# fill.awk - fills ports/template/port_template.c in from filled.txt:
#
#     awk -v skip=NAME -f fill.awk filled.txt port_template.c
#
# What stands under "== name" takes the place of the lines from "FIXME name" to the end of their
# block: a line that begins with a brace, or an empty one. `skip` is left as the template has it.
FNR == NR {
  if (/^== /) name = $2
  else if (name != "") text[name] = text[name] $0 "\n"
  next
}
inside && (/^}/ || /^$/) { inside = 0 }
match($0, /FIXME [a-z_]+/) {
  name = substr($0, RSTART + 6, RLENGTH - 6)
  if (!(name in text)) {
    print "filled.txt has nothing for " name > "/dev/stderr"
    failed = 1
  } else if (name != skip) {
    sub(/\n+$/, "\n", text[name])
    printf "%s", text[name]
    inside = 1
  }
  used[name] = 1
}
!inside { print }
END {
  for (name in text)
    if (!(name in used)) {
      print "the template has no FIXME " name > "/dev/stderr"
      failed = 1
    }
  exit failed
}
