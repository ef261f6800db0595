#include "/tmp/p4/src/cli/main.cpp"
#include "/tmp/p4/src/cli/run.cpp"
#include "/tmp/p4/src/cli/status.cpp"
#include "/tmp/p4/src/cli/subcommands.cpp"
