#include "/tmp/p4/src/cli/workflow/workflow_file.cpp"
#include "/tmp/p4/src/cli/workflow/workflow_flags.cpp"
#include "/tmp/p4/src/cli/workflow/workflow_text.cpp"
