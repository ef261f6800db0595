#include "records/running.hpp"

#include "protocol/artifact_baseline.hpp"
#include "protocol/layout.hpp"
#include "records/broken_records.hpp"
#include "records/locked_file.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace autoexec::records {
namespace {

using files::UniqueFd;
namespace json = boost::json;
namespace fs = std::filesystem;

constexpr std::size_t max_records = 100'000;
constexpr std::size_t max_artifacts = 1000;
constexpr char entry_suffix[] = ".json";
constexpr char requests_folder[] = "cancel";

std::filesystem::path folder_of(const std::filesystem::path& project_root)
{
    return project_root / layout::running;
}

// Links that lead out of the project are not followed.
UniqueFd make_beneath(const fs::path& project_root, const fs::path& below, error_code& ec)
{
    const auto root = files::make_folders(project_root, ec);
    return root ? files::make_folders(root.get(), below, ec) : UniqueFd();
}

// A missing folder is not an error.
UniqueFd open_existing(const std::filesystem::path& project_root, error_code& ec)
{
    UniqueFd folder(
        ::open(folder_of(project_root).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    ec = folder || errno == ENOENT ? error_code{} : files::last_error();
    // open(2)'s errors for a link and for a file that is not a folder.
    if (ec.value() == ELOOP || ec.value() == ENOTDIR) ec = errc::unsafe_path;
    return folder;
}

UniqueFd open_existing(const std::filesystem::path& project_root)
{
    error_code ignored;
    return open_existing(project_root, ignored);
}

std::string format(const RunningRecord& r)
{
    json::object o;
    o["execution_id"] = r.execution_id;
    o["attempt_id"] = r.attempt_id;
    o["attempt"] = r.attempt;
    o["workflow_id"] = text::or_null(r.workflow_id);
    o["step_id"] = text::or_null(r.step_id);
    o["command"] = r.command;
    o["worktree"] = r.worktree;
    o["started_at"] = r.started_at;
    o["agent"] = r.agent;
    o["pid"] = r.pid;
    if (!r.artifacts.empty() && r.artifacts.size() <= max_artifacts)
        o["artifacts"] = protocol::to_json(r.artifacts);
    return text::dump_indented(o);
}

std::string string_or(const json::object& o, std::string_view key)
{
    const auto* const v = o.if_contains(key);
    return v != nullptr && v->is_string() ? std::string(v->get_string()) : std::string();
}

std::optional<std::string> optional_string(const json::object& o, std::string_view key)
{
    const auto* const v = o.if_contains(key);
    if (v == nullptr || !v->is_string()) return std::nullopt;
    return std::string(v->get_string());
}

std::int64_t integer_or(const json::object& o, std::string_view key, std::int64_t otherwise)
{
    const auto* const v = o.if_contains(key);
    return v != nullptr && v->is_int64() ? v->get_int64() : otherwise;
}

// Removes requests for ended attempts. An attempt has its record before its id is published.
void sweep_requests(int running)
{
    error_code ec;
    const auto requests = files::open_beneath(running, requests_folder, O_RDONLY | O_DIRECTORY,
                                              files::Links::none, ec);
    if (!requests) return;
    for (const auto& name : files::list_folder(requests.get(), max_records))
        if (::faccessat(running, (name + entry_suffix).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0)
            (void)files::remove_file(requests.get(), name);
    (void)::unlinkat(running, requests_folder, AT_REMOVEDIR);
}

}  // namespace

std::optional<RunningRecord> parse_running(const std::string& text)
{
    error_code ec;
    const auto value = json::parse(text, ec);
    if (ec || !value.is_object()) return std::nullopt;
    const auto& o = value.get_object();
    RunningRecord r;
    r.execution_id = string_or(o, "execution_id");
    r.attempt_id = string_or(o, "attempt_id");
    r.attempt = static_cast<int>(std::clamp<std::int64_t>(integer_or(o, "attempt", 1), 1, 1000));
    r.workflow_id = optional_string(o, "workflow_id");
    r.step_id = optional_string(o, "step_id");
    r.command = string_or(o, "command");
    r.worktree = string_or(o, "worktree");
    r.started_at = string_or(o, "started_at");
    r.agent = string_or(o, "agent");
    r.pid = integer_or(o, "pid", 0);
    if (const auto* const artifacts = o.if_contains("artifacts");
        artifacts && artifacts->is_object())
        r.artifacts = protocol::baseline_in(artifacts->get_object());
    if (r.attempt_id.empty() || r.execution_id.empty()) return std::nullopt;
    return r;
}

std::string running_name(const std::string& attempt_id)
{
    return text::file_name_of(attempt_id) + entry_suffix;
}

bool is_running_name(const std::string& name)
{
    return name.ends_with(entry_suffix) && !name.starts_with('.');  // like temporary files
}

std::string unreadable_sentence(const std::filesystem::path& project_root, error_code problem)
{
    return fmt::format(
        "{} cannot be read ({}), so running and interrupted attempts cannot be found. Replace it "
        "with a plain folder that you own.",
        text::printable(folder_of(project_root).string()),
        problem == errc::unsafe_path ? "it is a link or not a folder" : problem.message());
}

RunningFile::RunningFile(UniqueFd file, std::string path)
    : file_(std::move(file)), path_(std::move(path))
{}

void RunningFile::remove()
{
    (void)::unlink(path_.c_str());
}

std::optional<RunningFile> RunningFile::create(const std::filesystem::path& project_root,
                                               const RunningRecord& record, error_code& ec)
{
    const auto folder = make_beneath(project_root, layout::running, ec);
    if (!folder) return std::nullopt;
    const auto name = running_name(record.attempt_id);
    auto file = create_locked(folder.get(), name, record.attempt_id, format(record), ec);
    if (ec) return std::nullopt;
    return RunningFile(std::move(file), (folder_of(project_root) / name).string());
}

std::vector<RunningEntry> list_running(const std::filesystem::path& project_root)
{
    error_code ignored;
    return list_running(project_root, ignored);
}

std::vector<RunningEntry> list_running(const std::filesystem::path& project_root,
                                       error_code& problem)
{
    std::vector<RunningEntry> entries;
    const auto folder = open_existing(project_root, problem);
    if (!folder) return entries;
    for (const auto& name : files::list_folder(folder.get(), max_records)) {
        if (!name.ends_with(entry_suffix)) continue;
        error_code ec;
        const auto fd = files::open_beneath(folder.get(), name, O_RDONLY, files::Links::none, ec);
        if (!fd) continue;
        auto found = files::read_regular(folder.get(), name, running_limit, {});
        auto record = parse_running(found.text);
        if (!record || running_name(record->attempt_id) != name) continue;
        if (!std::filesystem::path(record->worktree).is_absolute()) continue;
        // A shared lock, so that two concurrent readers do not take each other for the executor.
        const bool dead = ::flock(fd.get(), LOCK_SH | LOCK_NB) == 0;
        entries.push_back({std::move(*record), !dead});
    }
    std::sort(entries.begin(), entries.end(), [](const RunningEntry& a, const RunningEntry& b) {
        return a.record.started_at < b.record.started_at;
    });
    return entries;
}

std::optional<RunningFile> RunningFile::lock_orphaned(const std::filesystem::path& project_root,
                                                      const std::string& attempt_id)
{
    auto folder = open_existing(project_root);
    if (!folder) return std::nullopt;
    error_code ec;
    auto name = running_name(attempt_id);
    auto fd = files::open_beneath(folder.get(), name, O_RDONLY, files::Links::none, ec);
    if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return std::nullopt;
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0 || st.st_nlink == 0)
        return std::nullopt;  // another process was faster
    return RunningFile(std::move(fd), (folder_of(project_root) / name).string());
}

std::optional<ArtifactBaseline> artifacts_before(const std::filesystem::path& project_root,
                                                 const std::string& attempt_id)
{
    const auto folder = open_existing(project_root);
    if (!folder) return std::nullopt;
    const auto found =
        files::read_regular(folder.get(), running_name(attempt_id), running_limit, {});
    auto record = parse_running(found.text);
    if (!record || record->artifacts.empty()) return std::nullopt;
    return std::move(record->artifacts);
}

void sweep_running(const std::filesystem::path& project_root)
{
    const auto folder = open_existing(project_root);
    if (!folder) return;
    sweep_temporaries(folder.get());
    remove_broken_records(project_root);
    sweep_requests(folder.get());
}

error_code request_cancel(const std::filesystem::path& project_root, const std::string& attempt_id)
{
    error_code ec;
    const auto name = text::file_name_of(attempt_id);
    // Tried twice: an executor that has served the last request removes the folder.
    for (int tries = 0; tries < 2; ++tries) {
        const auto folder =
            make_beneath(project_root, fs::path(layout::running) / requests_folder, ec);
        if (!folder) return ec;
        const UniqueFd fd(::openat(folder.get(), name.c_str(),
                                   O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (fd) return {};
        ec = files::last_error();
    }
    return ec;
}

bool consume_cancel_request(const std::filesystem::path& project_root,
                            const std::string& attempt_id)
{
    const auto running = open_existing(project_root);
    if (!running) return false;
    error_code ec;
    const auto requests = files::open_beneath(running.get(), requests_folder,
                                              O_RDONLY | O_DIRECTORY, files::Links::none, ec);
    const auto name = text::file_name_of(attempt_id);
    if (!requests || ::unlinkat(requests.get(), name.c_str(), 0) != 0) return false;
    (void)::unlinkat(running.get(), requests_folder, AT_REMOVEDIR);
    return true;
}

bool has_cancel_requests(const std::filesystem::path& project_root)
{
    return ::access((folder_of(project_root) / requests_folder).c_str(), F_OK) == 0;
}

}  // namespace autoexec::records
