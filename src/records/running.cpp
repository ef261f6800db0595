#include "records/running.hpp"

#include "files/file_lock.hpp"
#include "logging/log.hpp"
#include "protocol/layout.hpp"
#include "records/locked_file.hpp"
#include "records/log_file.hpp"
#include "records/running_folder.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <utility>

namespace autoexec::records {
namespace {

using files::UniqueFd;
namespace fs = std::filesystem;

constexpr std::size_t max_requests = 100'000;

// `visit(id, folder)` gets each folder of an executor, opened.
template <class Visit>
void for_each_executor(int running, Visit visit)
{
    for (const auto& name : files::list_folder(running, max_listed_records)) {
        error_code ec;
        if (!is_executor_name(name)) continue;
        auto folder =
            files::open_beneath(running, name, O_RDONLY | O_DIRECTORY, files::Links::none, ec);
        if (folder) visit(name, std::move(folder));
    }
}

// `visit(name, file)` gets each file that may be a record.
template <class Visit>
void for_each_record(int folder, Visit visit)
{
    for (const auto& name : files::list_folder(folder, max_listed_records))
        if (is_record_name(name))
            visit(name, files::read_regular(folder, name, protocol::running_limit, {}));
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

void remove_broken(int folder, const BrokenRecord& broken)
{
    if (!broken.removable || files::remove_file(folder, broken.name)) return;
    logging::log(logging::LogLevel::warning, "removed the running record {}: {}", broken.name,
                 broken.problem);
}

bool is_in(int folder, const std::string& name)
{
    return ::faccessat(folder, name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

// A record of an older version that its executor has left. Without a lock: that lives, or another
// process was faster.
UniqueFd lock_unshared(int running, const std::string& name)
{
    error_code ec;
    auto fd = files::open_beneath(running, name, O_RDONLY, files::Links::none, ec);
    return fd && !files::lock_unless_removed(fd.get()) ? std::move(fd) : UniqueFd();
}

/// The folder of a dead executor, which is removed at the end if it is empty.
struct OrphanedFolder {
    OrphanedFolder(UniqueFd f, ExecutorLock l, fs::path p)
        : folder(std::move(f)), lock(std::move(l)), path(std::move(p))
    {}
    ~OrphanedFolder()
    {
        if (::rmdir(path.c_str()) == 0) lock.remove();
    }
    OrphanedFolder(const OrphanedFolder&) = delete;
    OrphanedFolder& operator=(const OrphanedFolder&) = delete;

    UniqueFd folder;
    ExecutorLock lock;
    fs::path path;
};

// Null: its executor lives or may live, or another process was faster.
std::shared_ptr<OrphanedFolder> lock_folder_of(const fs::path& project_root, const std::string& id,
                                               UniqueFd folder)
{
    auto lock = ExecutorLock::take_over(project_root, id);
    if (!lock) return nullptr;
    return std::make_shared<OrphanedFolder>(std::move(folder), *std::move(lock),
                                            running_folder(project_root).path() / id);
}

// What is no record, such as the temporary file of a killed executor, is removed; unless it is a
// folder.
void sweep_executors(const fs::path& project_root, int running)
{
    for_each_executor(running, [&](const std::string& id, UniqueFd folder) {
        const auto orphaned = lock_folder_of(project_root, id, std::move(folder));
        if (!orphaned) return;
        const auto at = orphaned->folder.get();
        for (const auto& name : files::list_folder(at, max_listed_records))
            if (!is_record_name(name)) (void)files::remove_file(at, name);
        for_each_record(at, [at](const std::string& name, const FoundFile& file) {
            if (const auto broken = examine(at, name, file)) remove_broken(at, *broken);
        });
    });
}

// As names of requests.
std::set<std::string> attempts_with_a_record(int running)
{
    std::set<std::string> names;
    const auto add = [&names](int folder) {
        for (const auto& name : files::list_folder(folder, max_listed_records))
            if (is_record_name(name) || is_retry_name(name))
                names.insert(fs::path(name).stem().string());
    };
    add(running);
    for_each_executor(running,
                      [&](const std::string&, const UniqueFd& folder) { add(folder.get()); });
    return names;
}

// Removes requests for ended attempts. An attempt has its record before its id is published, so the
// requests are listed first.
void sweep_requests(int running, const Folder& folder)
{
    error_code ec;
    const auto requests = folder.open(ec);
    if (!requests) return;
    const auto names = files::list_folder(requests.get(), max_requests);
    const auto known = attempts_with_a_record(running);
    for (const auto& name : names)
        if (!known.contains(name)) (void)files::remove_file(requests.get(), name);
    (void)::rmdir(folder.path().c_str());
}

std::vector<protocol::RunningRecord> list_awaiting_retry(const fs::path& project_root)
{
    std::vector<protocol::RunningRecord> records;
    const auto running = open_running(project_root);
    if (!running) return records;
    const auto engines = open_engines(project_root);
    for_each_executor(running.get(), [&](const std::string& id, const UniqueFd& folder) {
        if (probe_executor(engines, id).state == ExecutorState::dead) return;
        for (const auto& name : files::list_folder(folder.get(), max_listed_records)) {
            if (!is_retry_name(name)) continue;
            const auto file = files::read_regular(folder.get(), name, protocol::running_limit, {});
            auto record = protocol::parse_running(file.text);
            if (record && retry_name(record->attempt_id) == name)
                records.push_back(*std::move(record));
        }
    });
    return records;
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

RunningRecords::RunningRecords(fs::path project_root) : project_root_(std::move(project_root)) {}

RunningRecords::~RunningRecords()
{
    close();
}

error_code RunningRecords::open()
{
    error_code ec;
    close();
    id_ = text::new_uuid();
    lock_ = ExecutorLock::create(project_root_, id_, ec);
    if (!lock_) return ec;
    folder_ = Folder{project_root_, fs::path(layout::running) / id_}.create(ec);
    if (!folder_) close();
    return ec;
}

error_code RunningRecords::put(const protocol::RunningRecord& record)
{
    const auto name = locked_name(record.attempt_id);
    const auto text = protocol::format_running(record);
    auto ec = folder_ ? error_code() : open();
    // Tried twice: a user may have cleared the folder.
    for (int tries = 0; !ec && tries < 2; ++tries) {
        // Not renamed to its name: who sees a part of it does so before the attempt is published.
        ec = files::create_file(folder_.get(), name, text, 0600);
        if (ec == boost::system::errc::file_exists)
            ec = files::replace_file(folder_.get(), name, text, 0600, Durability::none);
        else if (ec)
            (void)files::remove_file(folder_.get(), name);
        if (ec != boost::system::errc::no_such_file_or_directory) break;
        ec = tries == 0 ? open() : ec;
    }
    return ec;
}

void RunningRecords::remove(const std::string& attempt_id)
{
    if (folder_) (void)files::remove_file(folder_.get(), locked_name(attempt_id));
}

bool RunningRecords::announce_retry(const std::string& attempt_id)
{
    return folder_ && ::renameat(folder_.get(), locked_name(attempt_id).c_str(), folder_.get(),
                                 retry_name(attempt_id).c_str()) == 0;
}

void RunningRecords::withdraw_retry(const std::string& attempt_id)
{
    if (folder_) (void)files::remove_file(folder_.get(), retry_name(attempt_id));
}

// Removed while it is locked: an older version that has opened it finds it removed.
bool RunningRecords::adopt_unshared(int running, const std::string& name)
{
    const auto lock = lock_unshared(running, name);
    std::string text;
    if (!lock || files::read_all(lock.get(), text, protocol::running_limit) ||
        files::create_file(folder_.get(), name, text, 0600))
        return false;
    (void)files::remove_file(running, name);
    return true;
}

bool RunningRecords::adopt(const std::string& attempt_id)
{
    const auto name = locked_name(attempt_id);
    if (folder_ && is_in(folder_.get(), name)) return true;
    const auto running = open_running(project_root_);
    if (!running || (!folder_ && open())) return false;
    bool found = adopt_unshared(running.get(), name);
    for_each_executor(running.get(), [&](const std::string& id, UniqueFd folder) {
        if (found || id == id_ || !is_in(folder.get(), name)) return;
        const auto orphaned = lock_folder_of(project_root_, id, std::move(folder));
        found = orphaned &&
                ::renameat(orphaned->folder.get(), name.c_str(), folder_.get(), name.c_str()) == 0;
    });
    return found;
}

void RunningRecords::close() noexcept
{
    if (lock_ && (!folder_ || ::rmdir((running_folder(project_root_).path() / id_).c_str()) == 0))
        lock_->remove();
    folder_ = UniqueFd();
    lock_.reset();
}

void OrphanedRecord::remove() const
{
    (void)files::remove_file(folder_->get(), locked_name(record_.attempt_id));
}

std::vector<OrphanedRecord> lock_orphaned(const fs::path& project_root, error_code* problem)
{
    std::vector<OrphanedRecord> found;
    const auto running = std::make_shared<const UniqueFd>(open_running(project_root, problem));
    if (!*running) return found;
    const auto add = [&found](const std::string& name, std::string_view text, auto folder,
                              auto lock) {
        auto record = protocol::parse_running(text);
        if (flaw_of(name, record).empty())
            found.emplace_back(*std::move(record), std::move(folder), std::move(lock));
    };
    for_each_record(running->get(), [&](const std::string& name, const FoundFile& file) {
        auto lock = std::make_shared<const UniqueFd>(lock_unshared(running->get(), name));
        if (*lock) add(name, file.text, running, std::move(lock));
    });
    for_each_executor(running->get(), [&](const std::string& id, UniqueFd folder) {
        const auto orphaned = lock_folder_of(project_root, id, std::move(folder));
        if (!orphaned) return;
        const std::shared_ptr<const UniqueFd> its_folder(orphaned, &orphaned->folder);
        for_each_record(its_folder->get(), [&](const std::string& name, const FoundFile& file) {
            add(name, file.text, its_folder, orphaned);
        });
    });
    std::sort(found.begin(), found.end(), [](const OrphanedRecord& a, const OrphanedRecord& b) {
        return a.record().started_at < b.record().started_at;
    });
    return found;
}

std::vector<RunningEntry> list_running(const fs::path& project_root, error_code* problem)
{
    std::vector<RunningEntry> entries;
    const auto running = open_running(project_root, problem);
    if (!running) return entries;
    const auto add = [&entries](const std::string& name, const FoundFile& file, bool alive,
                                const std::string& other_host) {
        auto record = protocol::parse_running(file.text);
        if (flaw_of(name, record).empty())
            entries.push_back({*std::move(record), alive, other_host});
    };
    for_each_locked(running.get(), protocol::running_limit,
                    [&](const std::string& name, const FoundFile& file, bool alive) {
                        add(name, file, alive, {});
                    });
    const auto engines = open_engines(project_root);
    for_each_executor(running.get(), [&](const std::string& id, const UniqueFd& folder) {
        const auto executor = probe_executor(engines, id);
        for_each_record(folder.get(), [&](const std::string& name, const FoundFile& file) {
            add(name, file, executor.state != ExecutorState::dead, executor.host);
        });
    });
    std::sort(entries.begin(), entries.end(), [](const RunningEntry& a, const RunningEntry& b) {
        return a.record.started_at < b.record.started_at;
    });
    return entries;
}

std::vector<protocol::RunningRecord> list_executions(const fs::path& project_root,
                                                     error_code* problem)
{
    std::map<std::string, protocol::RunningRecord> newest;
    const auto add = [&newest](protocol::RunningRecord record) {
        const auto known = newest.find(record.execution_id);
        if (known == newest.end() || known->second.attempt < record.attempt)
            newest.insert_or_assign(record.execution_id, std::move(record));
    };
    const auto add_running = [&] {
        for (auto& entry : list_running(project_root, problem))
            if (entry.alive) add(std::move(entry.record));
    };
    // Again, since an attempt may have begun after its folder was listed first.
    add_running();
    for (auto& record : list_awaiting_retry(project_root)) add(std::move(record));
    add_running();
    std::vector<protocol::RunningRecord> records;
    for (auto& [id, record] : newest) records.push_back(std::move(record));
    return records;
}

std::vector<BrokenRecord> find_broken_records(const fs::path& project_root)
{
    std::vector<BrokenRecord> broken;
    const auto running = open_running(project_root);
    if (!running) return broken;
    for_each_locked(running.get(), protocol::running_limit,
                    [&](const std::string& name, const FoundFile& file, bool alive) {
                        if (alive) return;
                        if (auto record = examine(running.get(), name, file))
                            broken.push_back(*std::move(record));
                    });
    const auto engines = open_engines(project_root);
    for_each_executor(running.get(), [&](const std::string& id, const UniqueFd& folder) {
        if (probe_executor(engines, id).state != ExecutorState::dead) return;
        for_each_record(folder.get(), [&](const std::string& name, const FoundFile& file) {
            auto record = examine(folder.get(), name, file);
            if (!record) return;
            record->name = (fs::path(id) / name).string();
            broken.push_back(*std::move(record));
        });
    });
    return broken;
}

bool has_record(const fs::path& project_root, const std::string& attempt_id)
{
    const auto running = open_running(project_root);
    if (!running) return false;
    const auto name = locked_name(attempt_id);
    bool found = is_in(running.get(), name);
    for_each_executor(running.get(), [&](const std::string&, const UniqueFd& folder) {
        found = found || is_in(folder.get(), name);
    });
    return found;
}

std::optional<ArtifactBaseline> artifacts_before(const fs::path& project_root,
                                                 const std::string& attempt_id)
{
    const auto running = open_running(project_root);
    if (!running) return std::nullopt;
    const auto name = locked_name(attempt_id);
    std::optional<ArtifactBaseline> artifacts;
    const auto look_in = [&](const UniqueFd& folder) {
        if (artifacts) return;
        const auto found = files::read_regular(folder.get(), name, protocol::running_limit, {});
        auto record = protocol::parse_running(found.text);
        if (record && !record->artifacts.empty()) artifacts = std::move(record->artifacts);
    };
    look_in(running);
    for_each_executor(running.get(),
                      [&](const std::string&, const UniqueFd& folder) { look_in(folder); });
    return artifacts;
}

void sweep_running(const fs::path& project_root)
{
    const auto running = open_running(project_root);
    if (!running) return;
    sweep_temporaries(running.get());
    for_each_locked(running.get(), protocol::running_limit,
                    [&](const std::string& name, const FoundFile& file, bool alive) {
                        const auto broken =
                            alive ? std::nullopt : examine(running.get(), name, file);
                        if (broken) remove_broken(running.get(), *broken);
                    });
    sweep_executors(project_root, running.get());
    sweep_executor_locks(project_root, running.get());
    sweep_requests(running.get(), {project_root, layout::cancel_requests});
    sweep_requests(running.get(), {project_root, layout::answers});
}

}  // namespace autoexec::records
