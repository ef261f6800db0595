#include "agent/agents_file_reader.hpp"
#include "agent/environment.hpp"
#include "agent/presets.hpp"
#include "agent/programs.hpp"
#include "git/git.hpp"
#include "git_files/git_dir.hpp"
#include "git_files/index_file.hpp"
#include "health/checked_folders.hpp"
#include "health/checks.hpp"
#include "health/verdict.hpp"
#include "protocol/control_files.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <map>

/// The programs that have to be there.
namespace autoexec::health {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t max_version = 200;
constexpr int max_programs = 3;  // so many limits, then the check gives up
constexpr std::array<int, 2> least_git = {2, 36};

std::string first_line(std::string_view output)
{
    while (output.starts_with('\n')) output.remove_prefix(1);
    output = output.substr(0, std::min(output.find('\n'), max_version));
    return text::printable(text::valid_utf8(output));
}

/// Runs programs for an answer, all together not much longer than they may take.
class Questioner {
public:
    explicit Questioner(const HealthOptions& options)
        : options_(options), deadline_(steady_clock::now() + max_programs * options.program_limit)
    {}

    HealthProbes::ProgramRun ask(const std::vector<std::string>& argv, const fs::path& directory)
    {
        const auto left = std::chrono::duration_cast<milliseconds>(deadline_ - steady_clock::now());
        HealthProbes::ProgramRun late;
        late.timed_out = true;
        return left > milliseconds::zero()
                   ? options_.probes.run(argv, directory, std::min(left, options_.program_limit))
                   : late;
    }

private:
    const HealthOptions& options_;
    steady_clock::time_point deadline_;
};

std::string why(const HealthProbes::ProgramRun& run)
{
    if (run.timed_out) return "it does not answer in time";
    if (!run.problem.empty()) return run.problem;
    if (run.error) return run.error.message();
    if (!run.exit_code) return "it was ended by a signal";
    return fmt::format("exit code {}", *run.exit_code);
}

// Of a preset's program it is known that `--version` is a question.
bool is_known(std::string_view program)
{
    const auto starts = [program](const agent::Preset& preset) {
        return preset.command.substr(0, preset.command.find(' ')) == program;
    };
    const auto all = agent::presets();
    return program.find('/') == program.npos && std::any_of(all.begin(), all.end(), starts);
}

/// Looks for the programs of all agents.
class AgentPrograms {
public:
    AgentPrograms(Verdict& verdict, const HealthOptions& options)
        : verdict_(verdict), options_(options), questioner_(options)
    {}

    void look_at(const AgentDefinition& definition)
    {
        ++agents_;
        const auto directory = agent::working_directory(definition, options_.project_root);
        bool complete = true;
        for (const auto& program : agent::programs_of(definition)) {
            const auto search = agent::find_program(program, path_of(definition), directory);
            if (search.found.empty()) {
                complete = false;
                miss(definition, program, search);
            } else {
                note(program, search.found, directory);
            }
        }
        if (!complete) ++broken_;
    }

    HealthCheckResult finish()
    {
        if (broken_ > 0 && broken_ == agents_) verdict_.worsen();
        verdict_.details()["programs"] = std::move(programs_);
        return std::move(verdict_).finish(
            agents_ == 0
                ? "There is no agent to look for."
                : fmt::format("The programs of {} are there.", count_of(agents_, "agent")));
    }

private:
    [[nodiscard]] std::string path_of(const AgentDefinition& definition) const
    {
        for (const auto& [name, value] : definition.environment)
            if (name == "PATH") return value;
        auto path = options_.probes.variable("PATH");
        return path.empty() ? "/bin:/usr/bin" : path;
    }

    void miss(const AgentDefinition& definition, const std::string& program,
              const agent::ProgramSearch& search)
    {
        verdict_.degraded(fmt::format("Agent '{}' can't run: {}", definition.name,
                                      agent::explain_missing(program, search, definition)),
                          fmt::format("Install {} or put its folder into PATH; or disable the "
                                      "agent (`enabled: false`).",
                                      program));
    }

    void note(const std::string& program, const fs::path& found, const fs::path& directory)
    {
        const auto key = shown(found);
        if (programs_.contains(key)) return;
        auto& version = programs_[key];  // null: not asked
        if (!options_.deep && !is_known(program)) return;
        const auto run = questioner_.ask({found.string(), "--version"}, directory);
        if (run.exit_code == 0 && !run.timed_out) {
            version = first_line(run.output);
            return;
        }
        // A program may know no such option; but one that can't be started or hangs would do so
        // for commands, too.
        const bool refused = run.exit_code && !run.timed_out && !is_known(program);
        if (!refused)
            verdict_.degraded(fmt::format("'{} --version' gives no version: {}.", key, why(run)),
                              "Run it by hand, as the user and in the environment of the engine.");
    }

    Verdict& verdict_;
    const HealthOptions& options_;
    Questioner questioner_;
    boost::json::object programs_;
    std::size_t agents_ = 0;
    std::size_t broken_ = 0;
};

// `git version 2.39.5 (Apple Git-154)`
std::optional<std::array<int, 2>> parse_git_version(std::string_view text)
{
    constexpr std::string_view prefix = "git version ";
    if (!text.starts_with(prefix)) return std::nullopt;
    const char* at = text.data() + prefix.size();
    const char* const end = text.data() + text.size();
    std::array<int, 2> version{};
    for (std::size_t i = 0; i < version.size(); ++i) {
        const auto [rest, ec] = std::from_chars(at, end, version[i]);
        if (ec != std::errc{}) return std::nullopt;
        at = rest;
        if (i == 0 && (at == end || *at++ != '.')) return std::nullopt;
    }
    return version;
}

void judge_git_version(Verdict& verdict, std::string_view output)
{
    const auto line = first_line(output);
    verdict.details()["version"] = line;
    const auto version = parse_git_version(line);
    if (!version)
        verdict.degraded(fmt::format("'git --version' says '{}'.", line),
                         "Look which program is called git here: command -v git.");
    else if (*version < least_git)
        verdict.degraded(fmt::format("{} is older than {}.{}.", line, least_git[0], least_git[1]),
                         "Update git; worktrees may not be made or listed rightly.");
}

// Of the repository: the nearest folder above that has a `.git`.
std::filesystem::path top_of(std::filesystem::path folder)
{
    std::error_code ec;
    while (!std::filesystem::exists(folder / ".git", ec) && folder.has_relative_path())
        folder = folder.parent_path();
    return folder;
}

void report_tracked_files(Verdict& verdict, const std::filesystem::path& tree,
                          const std::string& status_file_name)
{
    const auto git_dir = git_files::git_dir_of(tree);
    if (!git_dir) return;
    const auto below = tree.lexically_relative(top_of(tree));
    std::vector<std::string> paths;
    for (const auto& name : control_files::paths(status_file_name))
        paths.push_back((below / name).lexically_normal().string());
    const auto tracked = git_files::tracked_among(*git_dir, paths);
    if (tracked.empty()) return;
    std::vector<std::string> names;
    for (const auto& path : tracked)
        names.push_back(std::filesystem::path(path).lexically_relative(below).string());
    verdict.degraded(
        fmt::format("In {} git tracks control files: {}. Each checkout, merge or reset writes them "
                    "again, and after a command git status shows them as deleted.",
                    shown(tree), fmt::join(names, ", ")),
        fmt::format("Remove them from the repository: git -C {} rm --cached -- {}, then commit.",
                    shown(tree), fmt::join(names, " ")));
}

}  // namespace

HealthCheckResult check_supervisor(const HealthOptions& options)
{
    Verdict verdict("supervisor");
    // To the end of it: a supervisor of another build may start and not be understood.
    const auto run = options.probes.run({"/bin/true"}, "/", options.program_limit);
    if (run.error)
        verdict.unhealthy("No command can be started: " + why(run),
                          "Put autoexec-supervise beside the program or into its libexec folder.");
    else if (run.timed_out || run.exit_code != 0)
        verdict.degraded(
            fmt::format("A program below the supervisor did not end as it should: {}.", why(run)),
            "Look whether the machine is overloaded, and whether autoexec-supervise is of the "
            "same version as the program.");
    return std::move(verdict).finish("Programs can be started and supervised.");
}

HealthCheckResult check_agent_programs(const HealthOptions& options)
{
    Verdict verdict("agent_programs");
    AgentPrograms programs(verdict, options);
    if (const auto reading = agent::load_agents_file(options.project_root); reading.file)
        for (const auto& definition : reading.file->agents)
            if (definition.enabled) programs.look_at(definition);
    return programs.finish();
}

HealthCheckResult check_git(const HealthOptions& options)
{
    Verdict verdict("git");
    for (const auto& tree : worktrees_of(options))
        report_tracked_files(verdict, tree, options.status_file_name);
    const auto run = options.probes.run(git::version_command(), "/", options.program_limit);
    if (run.exit_code == 0 && !run.timed_out) {
        judge_git_version(verdict, run.output);
        return std::move(verdict).finish(first_line(run.output) + " is there.");
    }
    auto problem = fmt::format("git can't be run: {}.", why(run));
    if (git_files::git_dir_of(options.project_root))
        verdict.unhealthy(std::move(problem), "Install git; the project is a repository.");
    else
        verdict.degraded(std::move(problem), "Install git; without it there are no worktrees.");
    return std::move(verdict).finish({});
}

}  // namespace autoexec::health
