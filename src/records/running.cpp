#include "records/running.hpp"

#include "logging/log.hpp"
#include "protocol/layout.hpp"
#include "protocol/question_format.hpp"
#include "records/locked_file.hpp"
#include "records/log_file.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace autoexec::records {
namespace {

using files::UniqueFd;
namespace fs = std::filesystem;

constexpr std::size_t max_requests = 100'000;
constexpr char requests_name[] = "cancel";
constexpr char answers_name[] = "answers";

Folder running_folder(const fs::path& project_root)
{
    return {project_root, layout::running};
}

Folder requests_folder(const fs::path& project_root)
{
    return {project_root, fs::path(layout::running) / requests_name};
}

Folder answers_folder(const fs::path& project_root)
{
    return {project_root, fs::path(layout::running) / answers_name};
}

// A missing folder is not a problem.
UniqueFd open_running(const fs::path& project_root, error_code* problem = nullptr)
{
    error_code ec;
    auto folder = running_folder(project_root).open(ec);
    if (problem)
        *problem = ec == boost::system::errc::no_such_file_or_directory ? error_code{} : ec;
    return folder;
}

// Why a file is not the record of an attempt; empty if it is one.
std::string flaw_of(const std::string& name, const std::optional<protocol::RunningRecord>& record)
{
    if (!record) return "it names no attempt";
    if (locked_name(record->attempt_id) != name) return "it is not named after its attempt";
    if (!fs::path(record->worktree).is_absolute()) return "its worktree is not an absolute path";
    return {};
}

std::optional<BrokenRecord> examine(int folder, const std::string& name, const FoundFile& file)
{
    if (file.state == FoundFile::State::absent || file.state == FoundFile::State::unreadable)
        return std::nullopt;
    if (file.state != FoundFile::State::present) {
        struct stat st {};
        const bool is_folder =
            ::fstatat(folder, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
        return BrokenRecord{name, file.problem, !is_folder};
    }
    if (text::read_json_object(file.text).kind != text::JsonReading::Kind::valid)
        return BrokenRecord{name, "it is not a JSON object", true};
    const auto record = protocol::parse_running(file.text);
    auto flaw = flaw_of(name, record);
    if (flaw.empty()) return std::nullopt;
    return BrokenRecord{name, std::move(flaw), record.has_value()};
}

void remove_broken_records(const fs::path& project_root, int folder)
{
    for (const auto& record : find_broken_records(project_root)) {
        if (!record.removable || files::remove_file(folder, record.name)) continue;
        logging::log(logging::LogLevel::warning, "removed the running record {}: {}", record.name,
                     record.problem);
    }
}

// Removes requests for ended attempts. An attempt has its record before its id is published.
void sweep_requests(int running, const char* folder)
{
    error_code ec;
    const auto requests =
        files::open_beneath(running, folder, O_RDONLY | O_DIRECTORY, files::Links::none, ec);
    if (!requests) return;
    for (const auto& name : files::list_folder(requests.get(), max_requests))
        if (::faccessat(running, (name + ".json").c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0)
            (void)files::remove_file(requests.get(), name);
    (void)::unlinkat(running, folder, AT_REMOVEDIR);
}

// The first one counts: a person's answer is not replaced by another's.
error_code link_answer(int folder, const std::string& name, std::string_view text)
{
    const auto temporary = ".tmp." + text::new_uuid();
    const UniqueFd file(::openat(folder, temporary.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return files::last_error();
    auto ec = files::write_all(file.get(), text);
    if (!ec && ::linkat(folder, temporary.c_str(), folder, name.c_str(), 0) != 0)
        ec = files::last_error();
    (void)files::remove_file(folder, temporary);
    return ec;
}

}  // namespace

std::string unreadable_sentence(const std::filesystem::path& project_root, error_code problem)
{
    return fmt::format(
        "{} cannot be read ({}), so running and interrupted attempts cannot be found. Replace it "
        "with a plain folder that you own.",
        text::printable(running_folder(project_root).path().string()),
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
                                               const protocol::RunningRecord& record,
                                               error_code& ec)
{
    const auto place = running_folder(project_root);
    const auto folder = place.create(ec);
    if (!folder) return std::nullopt;
    const auto name = locked_name(record.attempt_id);
    auto file =
        create_locked(folder.get(), name, record.attempt_id, protocol::format_running(record), ec);
    if (ec) return std::nullopt;
    return RunningFile(std::move(file), (place.path() / name).string());
}

std::vector<RunningEntry> list_running(const std::filesystem::path& project_root,
                                       error_code* problem)
{
    std::vector<RunningEntry> entries;
    const auto folder = open_running(project_root, problem);
    if (!folder) return entries;
    for_each_locked(folder.get(), protocol::running_limit,
                    [&](const std::string& name, const FoundFile& file, bool alive) {
                        auto record = protocol::parse_running(file.text);
                        if (flaw_of(name, record).empty())
                            entries.push_back({*std::move(record), alive});
                    });
    std::sort(entries.begin(), entries.end(), [](const RunningEntry& a, const RunningEntry& b) {
        return a.record.started_at < b.record.started_at;
    });
    return entries;
}

std::optional<RunningFile> RunningFile::lock_orphaned(const std::filesystem::path& project_root,
                                                      const std::string& attempt_id)
{
    auto folder = open_running(project_root);
    if (!folder) return std::nullopt;
    error_code ec;
    auto name = locked_name(attempt_id);
    auto fd = files::open_beneath(folder.get(), name, O_RDONLY, files::Links::none, ec);
    if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return std::nullopt;
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0 || st.st_nlink == 0)
        return std::nullopt;  // another process was faster
    return RunningFile(std::move(fd), (running_folder(project_root).path() / name).string());
}

std::vector<BrokenRecord> find_broken_records(const std::filesystem::path& project_root)
{
    std::vector<BrokenRecord> broken;
    const auto folder = open_running(project_root);
    if (!folder) return broken;
    for_each_locked(folder.get(), protocol::running_limit,
                    [&](const std::string& name, const FoundFile& file, bool alive) {
                        if (alive) return;
                        if (auto record = examine(folder.get(), name, file))
                            broken.push_back(*std::move(record));
                    });
    return broken;
}

std::optional<ArtifactBaseline> artifacts_before(const std::filesystem::path& project_root,
                                                 const std::string& attempt_id)
{
    const auto folder = open_running(project_root);
    if (!folder) return std::nullopt;
    const auto found =
        files::read_regular(folder.get(), locked_name(attempt_id), protocol::running_limit, {});
    auto record = protocol::parse_running(found.text);
    if (!record || record->artifacts.empty()) return std::nullopt;
    return std::move(record->artifacts);
}

void sweep_running(const std::filesystem::path& project_root)
{
    const auto folder = open_running(project_root);
    if (!folder) return;
    sweep_temporaries(folder.get());
    remove_broken_records(project_root, folder.get());
    sweep_requests(folder.get(), requests_name);
    sweep_requests(folder.get(), answers_name);
}

error_code request_cancel(const std::filesystem::path& project_root, const std::string& attempt_id)
{
    error_code ec;
    const auto name = text::file_name_of(attempt_id);
    // Tried twice: an executor that has served the last request removes the folder.
    for (int tries = 0; tries < 2; ++tries) {
        const auto folder = requests_folder(project_root).create(ec);
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
    error_code ec;
    const auto requests = requests_folder(project_root).open(ec);
    const auto name = text::file_name_of(attempt_id);
    if (!requests || ::unlinkat(requests.get(), name.c_str(), 0) != 0) return false;
    (void)::rmdir(requests_folder(project_root).path().c_str());
    return true;
}

bool has_cancel_requests(const std::filesystem::path& project_root)
{
    return ::access(requests_folder(project_root).path().c_str(), F_OK) == 0;
}

error_code put_answer(const std::filesystem::path& project_root, const std::string& attempt_id,
                      const std::string& text)
{
    error_code ec;
    // Tried twice, like a request to cancel.
    for (int tries = 0; tries < 2; ++tries) {
        const auto folder = answers_folder(project_root).create(ec);
        if (!folder) return ec;
        ec = link_answer(folder.get(), text::file_name_of(attempt_id), text);
        if (!ec || ec == boost::system::errc::file_exists) return ec;
    }
    return ec;
}

std::string consume_answer(const std::filesystem::path& project_root, const std::string& attempt_id)
{
    error_code ec;
    const auto folder = answers_folder(project_root).open(ec);
    if (!folder) return {};
    const auto name = text::file_name_of(attempt_id);
    auto file = files::read_regular(folder.get(), name, protocol::answer_limit, {});
    if (file.state == FoundFile::State::absent || files::remove_file(folder.get(), name)) return {};
    (void)::rmdir(answers_folder(project_root).path().c_str());
    return std::move(file.text);
}

bool has_answers(const std::filesystem::path& project_root)
{
    return ::access(answers_folder(project_root).path().c_str(), F_OK) == 0;
}

std::vector<fs::path> request_folders(const fs::path& project_root)
{
    return {running_folder(project_root).path(), requests_folder(project_root).path(),
            answers_folder(project_root).path()};
}

}  // namespace autoexec::records
