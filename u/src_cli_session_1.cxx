#include "/tmp/p4/src/cli/session/project.cpp"
#include "/tmp/p4/src/cli/session/screen.cpp"
#include "/tmp/p4/src/cli/session/session.cpp"
#include "/tmp/p4/src/cli/session/unclaimed_notice.cpp"
