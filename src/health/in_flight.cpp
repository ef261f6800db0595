#include "agent/agents_file_reader.hpp"
#include "git_files/git_dir.hpp"
#include "handoff/claims.hpp"
#include "health/checked_folders.hpp"
#include "health/checks.hpp"
#include "protocol/command_file.hpp"
#include "protocol/control_files.hpp"
#include "protocol/layout.hpp"
#include "records/agent_presence.hpp"
#include "records/health_file.hpp"
#include "records/running.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json/array.hpp>
#include <boost/json/value_to.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>

/// Checks agents, running attempts and the files that ended ones have left.
namespace autoexec::health {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using files::UniqueFd;

constexpr char claim_suffix[] = ".json";
constexpr std::size_t max_claims = 1000;
constexpr std::size_t max_claim_names = 20'000;
constexpr auto overdue = 60s;  // after the deadline: for the stop, its grace, and a busy machine

// A shared lock, released at once, so that two checks do not take each other for an executor.
bool may_be_held(int worktree)
{
    if (::flock(worktree, LOCK_SH | LOCK_NB) != 0) return true;
    ::flock(worktree, LOCK_UN);
    return false;
}

bool may_be_held(const fs::path& worktree)
{
    error_code ec;
    const auto fd = open_folder(worktree, ec);
    return fd && may_be_held(fd.get());
}

bool same_folder(const fs::path& a, const fs::path& b)
{
    std::error_code ec;
    return a == b || fs::equivalent(a, b, ec);
}

struct FoundClaim {
    std::string attempt_id;
    fs::path worktree;
    ClaimState state = ClaimState::none;
};

// Folders of one repository share its git directory, so each claim names its folder.
fs::path worktree_in(int claims, const std::string& name, const fs::path& otherwise)
{
    const auto file = files::read_regular(claims, name, protocol::claim_limit, {});
    const auto path = protocol::parse_claim(file.text).worktree;
    return path.empty() ? otherwise : fs::path(path);
}

void add_claims(std::map<std::string, FoundClaim>& all, const UniqueFd& folder, int worktree,
                const fs::path& path)
{
    if (!folder) return;
    const auto names = files::list_folder(folder.get(), max_claims);
    struct stat st {};
    (void)::fstat(worktree, &st);
    handoff::ClaimReader reader(handoff::folder_id(st));
    const handoff::ClaimPlace place{folder.get(), ".", {}};
    for (const auto& name : names) {
        if (!name.ends_with(claim_suffix)) continue;
        const auto id = name.substr(0, name.size() - (sizeof claim_suffix - 1));
        all.try_emplace(
            id, FoundClaim{id, worktree_in(folder.get(), name, path), reader.state(place, id)});
    }
}

// Opened without creating missing folders.
std::map<std::string, FoundClaim> find_claims(const std::vector<fs::path>& trees)
{
    std::map<std::string, FoundClaim> all;
    for (const auto& tree : trees) {
        error_code ec;
        const auto fd = open_folder(tree, ec);
        if (!fd) continue;
        if (const auto git_dir = git_files::git_dir_of(tree))
            add_claims(all, open_folder(*git_dir / "autoexec/claims", ec), fd.get(), tree);
        add_claims(all,
                   files::open_beneath(fd.get(), control_files::claims_folder,
                                       O_RDONLY | O_DIRECTORY, files::Links::none, ec),
                   fd.get(), tree);
    }
    return all;
}

void check_claim(FindingList& findings, const FoundClaim& claim)
{
    const bool alone = !may_be_held(claim.worktree);
    if (claim.state == ClaimState::free && alone)
        findings.degraded(fmt::format("The agent that claimed attempt {} in {} has ended.",
                                      claim.attempt_id, shown(claim.worktree)),
                          "No action is needed: the next command there removes the claim.");
    if (claim.state == ClaimState::live && alone)
        findings.degraded(
            fmt::format("An agent is running attempt {} in {}, but no executor waits for it.",
                        claim.attempt_id, shown(claim.worktree)),
            "Wait until it ends, or stop the agent. Until then no command can run there.");
}

std::optional<std::chrono::system_clock::time_point> deadline_of(
    const protocol::RunningRecord& record)
{
    error_code ec;
    const auto fd = open_folder(record.worktree, ec);
    if (!fd) return std::nullopt;
    const auto file =
        files::read_regular(fd.get(), control_files::command, protocol::command_file_limit, {});
    std::string problem;
    const auto command = protocol::parse_command(file.text, problem);
    const auto start = record.started_at;
    // A bound of a century, so that time points do not overflow.
    if (!command || command->attempt_id != record.attempt_id || !start ||
        !command->deadline_seconds || !(*command->deadline_seconds < 3e9))
        return std::nullopt;
    return *start + std::chrono::duration_cast<std::chrono::system_clock::duration>(
                        std::chrono::duration<double>(*command->deadline_seconds));
}

void check_record(FindingList& findings, const protocol::RunningRecord& record,
                  std::chrono::system_clock::time_point now)
{
    const auto deadline = deadline_of(record);
    if (!deadline || now < *deadline + overdue) return;
    findings.degraded(
        fmt::format("Execution {} in {} should have ended at {}, but its executor (process {}) "
                    "still holds the worktree.",
                    record.execution_id, record.worktree, text::shown_time(*deadline), record.pid),
        "Unless the machine was suspended, the executor hangs: use autoexec cancel, or end the "
        "process.");
}

void check_lock(FindingList& findings, const fs::path& tree,
                const std::vector<records::RunningEntry>& running)
{
    if (!may_be_held(tree)) return;
    const bool known = std::any_of(running.begin(), running.end(), [&](const auto& entry) {
        return entry.alive && same_folder(entry.record.worktree, tree);
    });
    if (!known)
        findings.degraded(
            fmt::format("{} is locked by an executor, but no attempt is running there.",
                        shown(tree)),
            fmt::format("The executor may be waiting for a retry or belong to another project. If "
                        "this persists, find the process: fuser -v {}",
                        shown(tree)));
}

// Executors that hold no lock may be running: then no file is known to be a left-over.
bool accepts_legacy(const fs::path& project_root)
{
    const auto reading = load_agents(project_root);
    return reading.file.accept_legacy;
}

bool is_control_file(const std::string& name, const HealthOptions& options)
{
    const auto& names = control_files::executor_files;
    return name == options.status_file_name || name.starts_with(control_files::temporary_prefix) ||
           std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<std::string> control_files_in(int worktree, const HealthOptions& options)
{
    auto names = files::list_folder(worktree, max_claim_names);
    std::erase_if(names, [&](const auto& name) { return !is_control_file(name, options); });
    std::sort(names.begin(), names.end());
    return names;
}

bool is_folder(int worktree, const std::string& name)
{
    struct stat st {};
    return ::fstatat(worktree, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

void check_control_folder(FindingList& findings, const fs::path& path)
{
    const bool is_chosen = !path.filename().string().starts_with(control_files::own_prefix);
    findings.degraded(fmt::format("A folder has the name of a control file: {}.", shown(path)),
                      is_chosen ? "Remove it, or set another status_file_name: while that folder "
                                  "is not empty, no agent can report there."
                                : "The next command in that worktree tries to remove it. If that "
                                  "fails, remove it yourself.");
}

void check_control_files(FindingList& findings, const fs::path& tree, const HealthOptions& options)
{
    error_code ec;
    const auto fd = open_folder(tree, ec);
    // Checked before and after listing: an executor may start or end meanwhile.
    if (!fd || may_be_held(fd.get())) return;
    auto names = control_files_in(fd.get(), options);
    if (names.empty() || may_be_held(fd.get())) return;
    const auto files = std::stable_partition(
        names.begin(), names.end(), [&](const auto& name) { return is_folder(fd.get(), name); });
    for (auto it = names.begin(); it != files; ++it) check_control_folder(findings, tree / *it);
    names.erase(names.begin(), files);
    if (names.empty()) return;
    findings.degraded(
        fmt::format("{} of an ended run {} in {}: {}.", text::counted(names.size(), "file"),
                    names.size() == 1 ? "is" : "are", shown(tree), fmt::join(names, ", ")),
        "No action is needed: the next command there removes them.");
}

void check_executor(FindingList& findings, const records::RunningEntry& entry)
{
    const auto& record = entry.record;
    if (!entry.alive)
        findings.degraded(fmt::format("The executor of execution {} in {} has died.",
                                      record.execution_id, record.worktree),
                          "No action is needed: the next autoexec run cleans up.");
    if (!entry.other_host.empty())
        findings.degraded(
            fmt::format("Execution {} in {} was started on the host {}, so it is not known whether "
                        "its executor (process {}) is running.",
                        record.execution_id, record.worktree, text::printable(entry.other_host),
                        record.pid),
            fmt::format("If it is not, remove the lock that names that host in {}.",
                        layout::engines));
}

// Agents that get no commands because they have failed.
void check_held_agents(FindingList& findings, const HealthOptions& options)
{
    const auto now = options.probes.now();
    const auto reading = records::read_agent_health(options.project_root, now);
    if (!reading.problem.empty())
        findings.degraded(reading.problem, "Remove the file: the next failure writes a new one.");
    auto& held = findings.details()["held_back"].emplace_array();
    for (const auto& [name, state] : reading.agents) {
        const auto reason = protocol::reason_of(name, state, now);
        if (reason.empty()) continue;
        findings.degraded(
            fmt::format("Commands are held back: {}{}{}.", reason,
                        state.message.empty() ? "" : ": ", text::printable(state.message)),
            fmt::format("If it works again: autoexec agents reset {}",
                        text::quote_words(std::vector{name})));
        held.push_back({{"agent", name},
                        {"state", to_string(protocol::phase_of(state, now))},
                        {"code", state.code},
                        {"until", text::iso_utc(state.until)}});
    }
}

}  // namespace

std::string check_claims_and_locks(FindingList& findings, const HealthOptions& options)
{
    const auto trees = worktrees_of(options);
    const auto running = records::list_running(options.project_root);
    const auto claims = find_claims(trees);
    for (const auto& [id, claim] : claims) check_claim(findings, claim);
    for (const auto& entry : running)
        if (entry.alive) check_record(findings, entry.record, options.probes.now());
    for (const auto& tree : trees) check_lock(findings, tree, running);
    findings.details()["claims"] = claims.size();
    findings.details()["in_flight"] = std::count_if(running.begin(), running.end(),
                                                    [](const auto& entry) { return entry.alive; });
    return "Each claim has its agent, and each lock its attempt.";
}

std::string check_leftovers(FindingList& findings, const HealthOptions& options)
{
    for (const auto& entry : records::list_running(options.project_root))
        check_executor(findings, entry);
    for (const auto& broken : records::find_broken_records(options.project_root))
        findings.degraded(fmt::format("{} is not a valid record of an attempt: {}.",
                                      shown(options.project_root / layout::running / broken.name),
                                      broken.problem),
                          broken.removable
                              ? "No action is needed: the next autoexec run removes it."
                              : "Remove it, unless a later version of autoexec created it.");
    std::vector<fs::path> trees;
    if (!accepts_legacy(options.project_root)) trees = worktrees_of(options);
    const auto claims = find_claims(trees);
    for (const auto& tree : trees) {
        // A live agent still reports there, even if no executor waits for it.
        const bool busy = std::any_of(claims.begin(), claims.end(), [&](const auto& item) {
            return item.second.state != ClaimState::free && same_folder(item.second.worktree, tree);
        });
        if (!busy) check_control_files(findings, tree, options);
    }
    return "There are no left-over files of ended runs.";
}

std::string check_agents(FindingList& findings, const HealthOptions& options)
{
    std::vector<std::string> running;
    auto& details = findings.details()["running"].emplace_array();
    for (const auto& [record, alive] : records::list_agents(options.project_root)) {
        if (!alive) {
            findings.degraded(
                fmt::format("An agent has died: {}.", records::describe(record)),
                "No action is needed: the next autoexec run or autoexec agent removes its record.");
            continue;
        }
        running.push_back(records::describe(record));
        details.push_back(
            {{"agent_id", record.agent_id},
             {"pid", record.pid},
             {"host", record.host},
             {"started_at", text::iso_utc(record.started_at)},
             {"agents", boost::json::array(record.agents.begin(), record.agents.end())}});
    }
    check_held_agents(findings, options);
    if (running.empty())
        return "No agent process is running. autoexec run starts its own agent; for autoexec run "
               "--external-agent, start one with autoexec agent.";
    return fmt::format("{} running: {}.", running.size() == 1 ? "An agent is" : "Agents are",
                       fmt::join(running, ", "));
}

}  // namespace autoexec::health
