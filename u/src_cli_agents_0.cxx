#include "/tmp/p4/src/cli/agents/init.cpp"
#include "/tmp/p4/src/cli/agents/list.cpp"
#include "/tmp/p4/src/cli/agents/validate.cpp"
