#include "agent/agents_file_reader.hpp"
#include "git_files/git_dir.hpp"
#include "handoff/claims.hpp"
#include "health/checked_folders.hpp"
#include "health/checks.hpp"
#include "health/verdict.hpp"
#include "protocol/command_file.hpp"
#include "protocol/control_files.hpp"
#include "protocol/layout.hpp"
#include "records/broken_records.hpp"
#include "records/running.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/value_to.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>

/// What runs, and what is left of what has run.
namespace autoexec::health {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using files::UniqueFd;

constexpr char claim_suffix[] = ".json";
constexpr std::size_t claim_limit = 4096;
constexpr std::size_t max_claims = 1000;
constexpr std::size_t max_claim_names = 20'000;
constexpr auto overdue = 60s;  // after its deadline: the stop, its grace, and a busy machine

// Shared and given back at once: two that look must not take each other for an engine. Where
// folders can't be locked the answer is not known; then nothing is said about the worktree.
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

// Folders of one repository share its git directory, so a claim says which one it is for.
fs::path worktree_in(int claims, const std::string& name, const fs::path& otherwise)
{
    const auto file = files::read_regular(claims, name, claim_limit, {});
    const auto reading = text::read_json_object(file.text);
    const auto* const path = reading.object.if_contains("worktree");
    return path != nullptr && path->is_string() ? fs::path(path->get_string().c_str()) : otherwise;
}

void add_claims(std::map<std::string, FoundClaim>& all, UniqueFd folder, int worktree,
                const fs::path& path)
{
    if (!folder) return;
    const auto names = files::list_folder(folder.get(), max_claims);
    struct stat st {};
    (void)::fstat(worktree, &st);
    handoff::ClaimReader reader(std::move(folder), st);
    for (const auto& name : names) {
        if (!name.ends_with(claim_suffix)) continue;
        const auto id = name.substr(0, name.size() - (sizeof claim_suffix - 1));
        all.try_emplace(id,
                        FoundClaim{id, worktree_in(reader.folder(), name, path), reader.state(id)});
    }
}

// Without making the folders that they would be in.
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

void judge_claim(Verdict& verdict, const FoundClaim& claim)
{
    const bool alone = !may_be_held(claim.worktree);
    if (claim.state == ClaimState::free && alone)
        verdict.degraded(fmt::format("The agent that took attempt {} in {} is gone.",
                                     claim.attempt_id, shown(claim.worktree)),
                         "Nothing need be done: the next command there removes the claim.");
    if (claim.state == ClaimState::live && alone)
        verdict.degraded(
            fmt::format("An agent works on attempt {} in {}, but no engine waits for it.",
                        claim.attempt_id, shown(claim.worktree)),
            "Wait for its end, or stop the agent; until then no command runs there.");
}

std::optional<std::chrono::system_clock::time_point> deadline_of(
    const records::RunningRecord& record)
{
    error_code ec;
    const auto fd = open_folder(record.worktree, ec);
    if (!fd) return std::nullopt;
    const auto file =
        files::read_regular(fd.get(), control_files::command, protocol::command_file_limit, {});
    std::string problem;
    const auto command = protocol::parse_command(file.text, problem);
    const auto start = text::parse_iso(record.started_at);
    // A century does not overflow what clocks count in.
    if (!command || command->attempt_id != record.attempt_id || !start ||
        !command->deadline_seconds || !(*command->deadline_seconds < 3e9))
        return std::nullopt;
    return *start + std::chrono::duration_cast<std::chrono::system_clock::duration>(
                        std::chrono::duration<double>(*command->deadline_seconds));
}

void judge_record(Verdict& verdict, const records::RunningRecord& record,
                  std::chrono::system_clock::time_point now)
{
    const auto deadline = deadline_of(record);
    if (!deadline || now < *deadline + overdue) return;
    verdict.degraded(
        fmt::format("Execution {} in {} should have ended at {}, but its engine (process {}) "
                    "still holds the worktree.",
                    record.execution_id, record.worktree, text::iso_utc(*deadline), record.pid),
        "Unless the machine slept meanwhile, the engine hangs: autoexec cancel, or end the "
        "process.");
}

void judge_lock(Verdict& verdict, const fs::path& tree,
                const std::vector<records::RunningEntry>& running)
{
    if (!may_be_held(tree)) return;
    const bool known = std::any_of(running.begin(), running.end(), [&](const auto& entry) {
        return entry.alive && same_folder(entry.record.worktree, tree);
    });
    if (!known)
        verdict.degraded(
            fmt::format("{} is held by an engine, but no attempt is in flight there.", shown(tree)),
            fmt::format("It may wait before a retry, or be of another project; if it stays, look "
                        "who holds it: fuser -v {}",
                        shown(tree)));
}

// Engines that hold no lock are at work here, perhaps: then no file is known to be left over.
bool accepts_legacy(const fs::path& project_root)
{
    const auto reading = agent::load_agents_file(project_root);
    return reading.file && reading.file->accept_legacy;
}

bool is_control_file(const std::string& name, const HealthOptions& options)
{
    constexpr std::array<std::string_view, 4> names = {
        control_files::command, control_files::simple, control_files::metadata,
        control_files::cancel};
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

void judge_control_folder(Verdict& verdict, const fs::path& path)
{
    const bool is_chosen = !path.filename().string().starts_with(control_files::own_prefix);
    verdict.degraded(fmt::format("A folder is where a control file belongs: {}.", shown(path)),
                     is_chosen ? "Remove it, or set another status_file_name: while anything is in "
                                 "that folder, no agent can report there."
                               : "The next command in that worktree tries to remove it. If that "
                                 "fails, remove it yourself.");
}

void judge_control_files(Verdict& verdict, const fs::path& tree, const HealthOptions& options)
{
    error_code ec;
    const auto fd = open_folder(tree, ec);
    // Before and after: an engine may come or go while we list.
    if (!fd || may_be_held(fd.get())) return;
    auto names = control_files_in(fd.get(), options);
    if (names.empty() || may_be_held(fd.get())) return;
    const auto files = std::stable_partition(
        names.begin(), names.end(), [&](const auto& name) { return is_folder(fd.get(), name); });
    for (auto it = names.begin(); it != files; ++it) judge_control_folder(verdict, tree / *it);
    names.erase(names.begin(), files);
    if (names.empty()) return;
    verdict.degraded(
        fmt::format("{} of a run that is over {} in {}: {}.", count_of(names.size(), "file"),
                    names.size() == 1 ? "is" : "are", shown(tree), fmt::join(names, ", ")),
        "Nothing need be done: the next command there removes them.");
}

}  // namespace

HealthCheckResult check_claims_and_locks(const HealthOptions& options)
{
    Verdict verdict("claims_and_locks");
    const auto trees = worktrees_of(options);
    const auto running = records::list_running(options.project_root);
    const auto claims = find_claims(trees);
    for (const auto& [id, claim] : claims) judge_claim(verdict, claim);
    for (const auto& entry : running)
        if (entry.alive) judge_record(verdict, entry.record, options.probes.now());
    for (const auto& tree : trees) judge_lock(verdict, tree, running);
    verdict.details()["claims"] = claims.size();
    verdict.details()["in_flight"] = std::count_if(running.begin(), running.end(),
                                                   [](const auto& entry) { return entry.alive; });
    return std::move(verdict).finish("Each claim has its agent, and each lock its attempt.");
}

HealthCheckResult check_leftovers(const HealthOptions& options)
{
    Verdict verdict("leftovers");
    for (const auto& entry : records::list_running(options.project_root))
        if (!entry.alive)
            verdict.degraded(fmt::format("The engine of execution {} in {} has died.",
                                         entry.record.execution_id, entry.record.worktree),
                             "Nothing need be done: the next autoexec run tidies up after it.");
    for (const auto& broken : records::find_broken_records(options.project_root))
        verdict.degraded(fmt::format("{} is no record of an attempt: {}.",
                                     shown(options.project_root / layout::running / broken.name),
                                     broken.problem),
                         broken.removable
                             ? "Nothing need be done: the next autoexec run removes it."
                             : "Unless a later version of autoexec made it, remove it.");
    std::vector<fs::path> trees;
    if (!accepts_legacy(options.project_root)) trees = worktrees_of(options);
    const auto claims = find_claims(trees);
    for (const auto& tree : trees) {
        // An agent that still lives reports there, whether or not somebody waits for it.
        const bool busy = std::any_of(claims.begin(), claims.end(), [&](const auto& item) {
            return item.second.state != ClaimState::free && same_folder(item.second.worktree, tree);
        });
        if (!busy) judge_control_files(verdict, tree, options);
    }
    return std::move(verdict).finish("Nothing is left of runs that are over.");
}

}  // namespace autoexec::health
