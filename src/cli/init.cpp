#include "agent/agents_file_reader.hpp"
#include "agent/presets.hpp"
#include "autoexec/config.hpp"
#include "cli/agents/new_agents_file.hpp"
#include "cli/subcommand.hpp"
#include "cli/workflow/new_workflow.hpp"
#include "files/safe_files.hpp"
#include "git_files/exclude.hpp"

#include <boost/algorithm/string/classification.hpp>
#include <boost/algorithm/string/split.hpp>

#include <fmt/ranges.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iostream>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;

constexpr auto ignore_file = ".gitignore";
constexpr unsigned ignore_mode = 0644;
constexpr std::size_t ignore_limit = 1024 * 1024;

struct InitOptions : CommonOptions {
    std::vector<std::string> presets;
    std::string workflow = "workflows/first.yaml";
    bool no_workflow = false;
    bool no_ignore = false;
    bool yes = false;
};

std::string names_of(const Programs& programs)
{
    std::vector<std::string_view> names;
    for (const auto* const program : programs) names.push_back(program->name);
    return fmt::format("{}", fmt::join(names, ", "));
}

/// Asks on a terminal, unless `--yes` is given; else takes the default.
class Dialogue {
public:
    explicit Dialogue(bool takes_defaults) : asks_(!takes_defaults && ::isatty(STDIN_FILENO) == 1)
    {}

    [[nodiscard]] std::string ask(const std::string& question, const std::string& fallback) const
    {
        if (!asks_) return fallback;
        print_message("{} [{}] ", question, text::printable(fallback));
        std::string answer;
        if (!std::getline(std::cin, answer)) throw Failure(exit_cancelled, {"nothing was written"});
        return answer.empty() ? fallback : answer;
    }

    [[nodiscard]] bool confirm(const std::string& question) const
    {
        const auto answer = ask(question, "Y/n");
        return answer == "Y/n" || answer == "y" || answer == "Y" || answer == "yes";
    }

private:
    bool asks_;
};

Programs choose_agents(const InitOptions& options, const Dialogue& dialogue, const fs::path& root)
{
    if (!options.presets.empty()) return choose_presets(options.presets);
    const auto found = detect_presets(root);
    print_message("Agents: {} (installed: {}).\n", fmt::join(preset_names(), ", "),
                  names_of(found));
    const auto answer = dialogue.ask("Which agents?", names_of(found));
    std::vector<std::string> names;
    boost::split(names, answer, boost::is_any_of(", "), boost::token_compress_on);
    std::erase(names, "");
    return choose_presets(names);
}

/// What is written once all questions are answered.
struct Plan {
    std::string agents;  ///< The text of the agents file; empty: it exists.
    std::string ignore;  ///< That of `.gitignore`; empty: it is complete, or not wanted.
    fs::path workflow;   ///< Empty: it exists, or is not wanted.
};

FoundFile read_ignore_file(const fs::path& root)
{
    const files::UniqueFd folder(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat info {};
    (void)::fstat(folder.get(), &info);
    auto found = files::read_regular(folder.get(), ignore_file, ignore_limit, {info.st_uid});
    if (found.state == FoundFile::State::unreadable)
        fail(exit_internal, "cannot read {}: {}; use --no-ignore", ignore_file, found.problem);
    return found;
}

// The rules that are missing, after those that are there.
std::string ignore_text(const fs::path& root)
{
    const auto config = AutoExecutionConfigManager({}, root).load(false);
    const auto old = read_ignore_file(root).text;
    std::string missing;
    for (const auto& pattern : git_files::control_patterns(config.executor.status_file_name)) {
        const auto has_line = [&](const std::string& end) {
            return ("\n" + old + "\n").find("\n" + pattern + end) != std::string::npos;
        };
        if (!has_line("\n") && !has_line("\r\n")) missing += pattern + "\n";
    }
    if (missing.empty()) return {};
    const bool is_open = !old.empty() && !old.ends_with('\n');
    return fmt::format("{}{}# Files of autoexec that are not for the repository\n{}", old,
                       is_open       ? "\n\n"
                       : old.empty() ? ""
                                     : "\n",
                       missing);
}

Plan make_plan(const InitOptions& options, const Dialogue& dialogue, const fs::path& root)
{
    Plan plan;
    if (!options.no_workflow) check_workflow_name(options.workflow);
    const auto agents_file = agents_file_of(root);
    if (fs::exists(fs::symlink_status(agents_file)))
        print_result("Kept {}.\n", shown_path(agents_file));
    else
        plan.agents =
            agent::agents_file_text(choose_agents(options, dialogue, root), agent::Comments::all);
    if (!options.no_ignore && fs::exists(root / ".git")) plan.ignore = ignore_text(root);
    if (!plan.ignore.empty() &&
        !dialogue.confirm(fmt::format("Add the files of autoexec to {}?", ignore_file)))
        plan.ignore.clear();
    const auto workflow = root / options.workflow;
    if (options.no_workflow) return plan;
    if (fs::exists(fs::symlink_status(workflow)))
        print_result("Kept {}.\n", shown_path(workflow));
    else if (dialogue.confirm(
                 fmt::format("Create a first workflow, {}?", text::printable(options.workflow))))
        plan.workflow = workflow;
    return plan;
}

void write_ignore_file(const fs::path& root, const std::string& text)
{
    const files::UniqueFd folder(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat old {};
    const bool exists = ::fstatat(folder.get(), ignore_file, &old, AT_SYMLINK_NOFOLLOW) == 0;
    const auto ec =
        files::replace_file(folder.get(), ignore_file, text,
                            exists ? old.st_mode & 0777U : ignore_mode, Durability::process);
    if (ec) fail(exit_internal, "cannot write {}: {}", ignore_file, ec.message());
}

void carry_out(const Plan& plan, const fs::path& root)
{
    const auto report = [](const fs::path& file) { print_result("Wrote {}.\n", shown_path(file)); };
    if (!plan.agents.empty()) {
        write_agents_file(root, plan.agents, false);
        report(agents_file_of(root));
        warn_of_missing_programs(parse_agents(plan.agents, {}).file, root);
    }
    if (!plan.ignore.empty()) {
        write_ignore_file(root, plan.ignore);
        report(root / ignore_file);
    }
    if (!plan.workflow.empty()) {
        const auto shown = fs::path(shown_path(plan.workflow));
        write_workflow(plan.workflow,
                       new_workflow_text(shown, coding_agent_of(root), test_program_of(root)),
                       false);
        report(plan.workflow);
    }
}

int init(const InitOptions& options)
{
    const auto root = project_root(options);
    const Dialogue dialogue(options.yes);
    carry_out(make_plan(options, dialogue, root), root);
    print_message("Next: autoexec health\n");
    return exit_completed;
}

void define_init(CLI::App& app, InitOptions& o)
{
    add_project(app, o);
    app.add_option("--preset", o.presets,
                   fmt::format("Add an agent for NAME: {}; may be repeated (default: those that "
                               "are installed)",
                               fmt::join(preset_names(), ", ")))
        ->type_name("NAME")
        ->allow_extra_args(false);
    app.add_option("--workflow", o.workflow, "The first workflow (default workflows/first.yaml)")
        ->type_name("FILE");
    app.add_flag("--no-workflow", o.no_workflow, "Create no workflow");
    app.add_flag("--no-ignore", o.no_ignore, "Do not change .gitignore");
    app.add_flag("-y,--yes", o.yes, "Ask nothing");
    app.footer("Files that exist are kept. Questions are only asked on a terminal.");
}

}  // namespace

extern const Subcommand init_subcommand = subcommand(
    "init", "Prepare a project: agents file, ignore rules, a first workflow", define_init, init);

}  // namespace autoexec::cli
