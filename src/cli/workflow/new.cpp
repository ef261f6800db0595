#include "cli/subcommand.hpp"
#include "cli/workflow/new_workflow.hpp"

namespace autoexec::cli {
namespace {

struct WorkflowNewOptions : CommonOptions {
    std::filesystem::path file;
    std::string agent;
    bool overwrite = false;
    bool to_stdout = false;
};

int new_workflow(const WorkflowNewOptions& options)
{
    const auto root = project_root(options);
    check_workflow_name(options.file);
    const auto agent = options.agent.empty() ? coding_agent_of(root) : options.agent;
    const auto text = new_workflow_text(options.file, agent, test_program_of(root));
    if (options.to_stdout) {
        print_result(text);
        return exit_completed;
    }
    write_workflow(options.file, text, options.overwrite);
    print_result("Wrote {}. Check it with: autoexec workflow validate {}\n",
                 shown_path(options.file),
                 text::printable(text::quote_words(std::vector{options.file.string()})));
    return exit_completed;
}

void define_workflow_new(CLI::App& app, WorkflowNewOptions& o)
{
    add_project(app, o);
    app.add_option("file", o.file, "The new file, such as feature.yaml")
        ->required()
        ->type_name("FILE");
    app.add_option("--agent", o.agent,
                   "The agent of the first step (default: the first one of the agents file)")
        ->type_name("NAME");
    app.add_flag("--overwrite", o.overwrite, "Replace an existing file");
    app.add_flag("--stdout", o.to_stdout, "Print the file instead of writing it");
}

}  // namespace

extern const Subcommand workflow_new_subcommand = subcommand(
    "workflow new", "Create a workflow file to begin with", define_workflow_new, new_workflow);

}  // namespace autoexec::cli
