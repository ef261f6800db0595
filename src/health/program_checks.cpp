#include "agent/agents_file_reader.hpp"
#include "agent/environment.hpp"
#include "agent/programs.hpp"
#include "git/git.hpp"
#include "git_files/git_dir.hpp"
#include "git_files/index_file.hpp"
#include "health/checked_folders.hpp"
#include "health/checks.hpp"
#include "programs/known_programs.hpp"
#include "protocol/control_files.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <map>

/// Checks the required programs.
namespace autoexec::health {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t max_version = 200;
constexpr int max_programs = 3;  // the check takes at most this many program limits
constexpr std::array<int, 2> least_git = {2, 36};

std::string first_line(std::string_view output)
{
    while (output.starts_with('\n')) output.remove_prefix(1);
    output = output.substr(0, std::min(output.find('\n'), max_version));
    return text::printable(text::valid_utf8(output));
}

/// Runs programs for their output, with a bound for the total time.
class ProgramProber {
public:
    explicit ProgramProber(const HealthOptions& options)
        : options_(options), deadline_(steady_clock::now() + max_programs * options.program_limit)
    {}

    HealthProbes::ProgramRun query(const std::vector<std::string>& argv, const fs::path& directory)
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

constexpr char install_supervisor[] =
    "Install autoexec-supervise beside the program or in its libexec folder.";

std::string reason(const HealthProbes::ProgramRun& run)
{
    if (run.timed_out) return "it did not answer in time";
    if (!run.problem.empty())
        return run.problem.substr(0,
                                  run.problem.find_last_not_of('.') + 1);  // ends a sentence here
    if (run.error) return run.error.message();
    if (!run.exit_code) return "it was ended by a signal";
    return fmt::format("exit code {}", *run.exit_code);
}

// Only these are known to have a harmless `--version`. Null: it is none of them.
const programs::KnownProgram* known_program(std::string_view program)
{
    for (const auto& known : programs::known_programs())
        if (known.command.substr(0, known.command.find(' ')) == program &&
            program.find('/') == program.npos)
            return &known;
    return nullptr;
}

/// Finds the programs of all agents.
class AgentPrograms {
public:
    AgentPrograms(FindingList& findings, const HealthOptions& options)
        : findings_(findings), options_(options), prober_(options)
    {}

    void check_agent(const AgentDefinition& definition)
    {
        ++agents_;
        const auto directory = agent::working_directory(definition, options_.project_root);
        bool complete = true;
        for (const auto& program : agent::programs_of(definition)) {
            const auto search = agent::find_program(program, path_of(definition), directory);
            if (search.found.empty()) {
                complete = false;
                report_missing(definition, program, search);
            } else {
                record(program, search.found, directory);
            }
        }
        if (!complete) ++broken_;
    }

    std::string finish()
    {
        if (broken_ > 0 && broken_ == agents_) findings_.worsen();
        findings_.details()["programs"] = std::move(programs_);
        if (agents_ == 0) return "No agents are defined.";
        return fmt::format("The programs of {} were found.{}", text::counted(agents_, "agent"),
                           drift_);
    }

private:
    [[nodiscard]] std::string path_of(const AgentDefinition& definition) const
    {
        for (const auto& [name, value] : definition.environment)
            if (name == "PATH") return value;
        auto path = options_.probes.variable("PATH");
        return path.empty() ? "/bin:/usr/bin" : path;
    }

    void report_missing(const AgentDefinition& definition, const std::string& program,
                        const agent::ProgramSearch& search)
    {
        findings_.degraded(
            fmt::format("Agent '{}' cannot run: {}", definition.name,
                        agent::explain_missing(program, search, definition)),
            fmt::format(
                "Install {}, add its folder to PATH, or disable the agent (`enabled: false`).",
                program));
    }

    void record(const std::string& program, const fs::path& found, const fs::path& directory)
    {
        const auto key = shown(found);
        if (programs_.contains(key)) return;
        auto& version = programs_[key];  // null: not run
        const auto* const known = known_program(program);
        if (!options_.deep && known == nullptr) return;
        const auto run = prober_.query({found.string(), "--version"}, directory);
        if (run.exit_code == 0 && !run.timed_out) {
            const auto line = first_line(run.output);
            version = line;
            if (known != nullptr) note_drift(*known, program, line);
            return;
        }
        // A failure alone says nothing: not every program has that option. But a program that hangs
        // or does not start would also do so for commands.
        const bool refused = run.exit_code && !run.timed_out && known == nullptr;
        if (!refused)
            findings_.degraded(fmt::format("'{} --version' failed: {}.", key, reason(run)),
                               "Run it manually, as the same user and in the same environment.");
    }

    // Only a program that writes events has rules which may no longer fit.
    void note_drift(const programs::KnownProgram& known, const std::string& program,
                    const std::string& version)
    {
        if (known.outcome.events.empty() || version.find(known.compared) != version.npos) return;
        drift_ +=
            fmt::format(" {} is '{}'; its rules {}.", program, version,
                        known.compared == "unverified" ? "are from its documentation"
                                                       : "were compared with " + known.compared);
    }

    FindingList& findings_;
    const HealthOptions& options_;
    ProgramProber prober_;
    boost::json::object programs_;
    std::string drift_;  ///< A sentence for each program of another version than its rules.
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

void check_git_version(FindingList& findings, std::string_view output)
{
    const auto line = first_line(output);
    findings.details()["version"] = line;
    const auto version = parse_git_version(line);
    if (!version)
        findings.degraded(fmt::format("'git --version' says '{}'.", line),
                          "Check which program is named git: command -v git.");
    else if (*version < least_git)
        findings.degraded(fmt::format("{} is older than {}.{}.", line, least_git[0], least_git[1]),
                          "Update git; otherwise creating and listing worktrees may fail.");
}

// The repository's top: the nearest parent folder with a `.git`.
std::filesystem::path top_of(std::filesystem::path folder)
{
    std::error_code ec;
    while (!std::filesystem::exists(folder / ".git", ec) && folder.has_relative_path())
        folder = folder.parent_path();
    return folder;
}

void report_tracked_files(FindingList& findings, const std::filesystem::path& tree,
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
    findings.degraded(
        fmt::format("In {} git tracks control files: {}. Each checkout, merge or reset restores "
                    "them, and after a command git status shows them as deleted.",
                    shown(tree), fmt::join(names, ", ")),
        fmt::format("Remove them from the repository: git -C {} rm --cached -- {}, then commit.",
                    shown(tree), fmt::join(names, " ")));
}

}  // namespace

std::string check_supervisor(FindingList& findings, const HealthOptions& options)
{
    // Runs it to its end: a supervisor of another build may start but use another protocol.
    const auto run = options.probes.run({"/bin/true"}, "/", options.program_limit);
    if (run.error)
        findings.unhealthy(fmt::format("Commands cannot be started: {}.", reason(run)),
                           install_supervisor);
    else if (run.timed_out || run.exit_code != 0)
        findings.degraded(
            fmt::format("A test program below the supervisor failed: {}.", reason(run)),
            "Check that the machine is not overloaded, and that autoexec-supervise has the same "
            "version as autoexec.");
    return "Programs can be started and supervised.";
}

std::string check_agent_programs(FindingList& findings, const HealthOptions& options)
{
    AgentPrograms programs(findings, options);
    if (const auto reading = load_agents(options.project_root); reading.errors.empty())
        for (const auto& definition : reading.file.agents)
            if (definition.enabled) programs.check_agent(definition);
    return programs.finish();
}

std::string check_git(FindingList& findings, const HealthOptions& options)
{
    for (const auto& tree : worktrees_of(options))
        report_tracked_files(findings, tree, options.status_file_name);
    const auto run = options.probes.run(git::version_command(), "/", options.program_limit);
    if (run.exit_code == 0 && !run.timed_out) {
        check_git_version(findings, run.output);
        return first_line(run.output) + " is installed.";
    }
    auto problem = fmt::format("git cannot be run: {}.", reason(run));
    if (run.error == errc::supervisor_unavailable)
        findings.unhealthy(std::move(problem), install_supervisor);
    else if (git_files::git_dir_of(options.project_root))
        findings.unhealthy(std::move(problem), "Install git; the project is a repository.");
    else
        findings.degraded(std::move(problem), "Install git; worktrees need it.");
    return {};
}

}  // namespace autoexec::health
