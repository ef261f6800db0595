#include "queue/queue_folder.hpp"

#include "autoexec/redaction.hpp"
#include "protocol/layout.hpp"
#include "queue/owner_lock.hpp"
#include "records/log_file.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>

namespace autoexec::queue {
namespace {

using files::UniqueFd;
namespace fs = std::filesystem;

constexpr std::size_t max_queue_names = 1'000'000;
constexpr std::string_view request_suffix = ".json";
constexpr std::string_view cancel_suffix = ".cancel";
constexpr std::string_view interrupted_suffix = protocol::interrupted_suffix;
constexpr std::time_t min_temporary_age = 60;

records::Folder folder_in(const fs::path& root, const char* path)
{
    return {root, path};
}

std::string file_of(std::string_view id, std::string_view suffix = request_suffix)
{
    return std::string(id).append(suffix);
}

// The id in a file's name; empty: the file is of another kind.
std::string id_in(std::string_view name, std::string_view suffix = request_suffix)
{
    if (!name.ends_with(suffix)) return {};
    name.remove_suffix(suffix.size());
    return protocol::is_queue_id(name) ? std::string(name) : std::string();
}

bool exists(const fs::path& root, const char* folder, const std::string& name)
{
    error_code ec;
    const auto opened = folder_in(root, folder).open(ec);
    return opened && ::faccessat(opened.get(), name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool move(const fs::path& root, const std::string& name, const char* from, const char* to)
{
    error_code ec;
    const auto source = folder_in(root, from).open(ec);
    const auto target = source ? folder_in(root, to).create(ec) : UniqueFd();
    return target && ::renameat(source.get(), name.c_str(), target.get(), name.c_str()) == 0;
}

bool starts_before(const Request& a, const Request& b)
{
    const auto first = a->request.priority;
    const auto second = b->request.priority;
    return first != second ? first > second : a->id() < b->id();
}

std::time_t changed_at(int folder, const std::string& name)
{
    struct stat st {};
    return ::fstatat(folder, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mtime
                                                                          : std::time(nullptr);
}

void sweep_temporaries_in(const fs::path& root, const char* path)
{
    error_code ec;
    const auto folder = folder_in(root, path).open(ec);
    if (!folder) return;
    for (const auto& name : files::list_folder(folder.get(), max_queue_names))
        if (name.starts_with(".cursor-skill-tmp.") &&
            changed_at(folder.get(), name) + min_temporary_age < std::time(nullptr))
            (void)files::remove_file(folder.get(), name);
}

// Notes on requests that are no longer in `started`.
void sweep_notes(const fs::path& root)
{
    error_code ec;
    const auto folder = folder_in(root, layout::started_requests).open(ec);
    if (!folder) return;
    for (const auto& name : files::list_folder(folder.get(), max_queue_names)) {
        auto id = id_in(name, cancel_suffix);
        if (id.empty()) id = id_in(name, interrupted_suffix);
        if (!id.empty() && !exists(root, layout::started_requests, file_of(id)))
            (void)files::remove_file(folder.get(), name);
    }
}

bool is_outdated(int folder, const std::string& name)
{
    const auto max_age = std::chrono::duration_cast<std::chrono::seconds>(max_age_of_results);
    return changed_at(folder, name) + max_age.count() < std::time(nullptr);
}

void sweep_results(const fs::path& root)
{
    error_code ec;
    const auto folder = folder_in(root, layout::ended_requests).open(ec);
    if (!folder) return;
    for (const auto& name : files::list_folder(folder.get(), max_queue_names))
        if (!id_in(name).empty() && is_outdated(folder.get(), name))
            (void)files::remove_file(folder.get(), name);
}

bool has_secret(const protocol::QueuedRequest& request)
{
    const Redactor redactor;
    const auto& argv = request.request.argv;
    return redactor.finds_secret(request.request.command) ||
           std::any_of(argv.begin(), argv.end(), [&redactor](const std::string& word) {
               return redactor.finds_secret(word);
           });
}

// Without a time: the request is in the place of the result.
protocol::QueuedResult cancelled_result(const protocol::QueuedRequest& request)
{
    protocol::QueuedResult ended;
    ended.id = request.id();
    ended.result = to_json(cancelled_execution(request));
    keep_request(ended, request);
    return ended;
}

std::vector<std::string> sorted_ids(const fs::path& root, const char* path)
{
    error_code ec;
    const auto folder = folder_in(root, path).open(ec);
    auto ids = folder ? list_requests(folder.get()) : std::vector<std::string>();
    std::sort(ids.begin(), ids.end());
    return ids;
}

}  // namespace

std::vector<std::string> list_requests(int folder)
{
    std::vector<std::string> ids;
    for (const auto& name : files::list_folder(folder, max_queue_names))
        if (auto id = id_in(name); !id.empty()) ids.push_back(std::move(id));
    return ids;
}

QueueFolder::QueueFolder(fs::path project_root) : project_root_(std::move(project_root)) {}

error_code QueueFolder::submit(const protocol::QueuedRequest& request, Durability durability) const
{
    const auto text = protocol::format_queued(request);
    if (text.size() > protocol::queue_file_limit) return errc::command_too_large;
    error_code ec;
    const auto folder = folder_in(project_root_, layout::queue).create(ec);
    if (!folder) return ec;
    return files::replace_file(folder.get(), file_of(request.id()), text, 0600, durability);
}

std::vector<Request> QueueFolder::list_waiting()
{
    auto requests = list(layout::queue, waiting_);
    std::sort(requests.begin(), requests.end(), starts_before);
    return requests;
}

std::vector<Request> QueueFolder::list_startable()
{
    std::map<std::string, bool> alive;
    auto requests = list_waiting();
    std::erase_if(requests, [&](const Request& request) {
        const auto [known, is_new] = alive.try_emplace(request->owner, false);
        if (is_new) known->second = has_owner(*request);
        return known->second;
    });
    return requests;
}

bool QueueFolder::has_owner(const protocol::QueuedRequest& request) const
{
    return !request.owner.empty() && is_owner_alive(project_root_, request.owner);
}

std::vector<Request> QueueFolder::list_started()
{
    return list(layout::started_requests, started_);
}

std::vector<BrokenFile> QueueFolder::broken() const
{
    std::vector<BrokenFile> broken;
    const auto add = [&broken](const char* folder, const SeenFiles& seen) {
        for (const auto& [name, file] : seen)
            if (!file.problem.empty())
                broken.push_back({(fs::path(folder) / name).string(), file.problem});
    };
    add(layout::queue, waiting_);
    add(layout::started_requests, started_);
    return broken;
}

std::vector<Request> QueueFolder::list(const char* path, SeenFiles& seen) const
{
    std::vector<Request> requests;
    SeenFiles now;
    error_code ec;
    if (const auto folder = folder_in(project_root_, path).open(ec)) {
        for (const auto& name : files::list_folder(folder.get(), max_queue_names)) {
            struct stat st {};
            if (id_in(name).empty() ||
                ::fstatat(folder.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
                continue;
            const auto known = seen.find(name);
            auto file = known != seen.end() && known->second.stamp == files::stamp_of(st)
                            ? std::move(known->second)
                            : read_request(folder.get(), path, name, st);
            if (file.request) requests.push_back(file.request);
            now.emplace(name, std::move(file));
        }
    }
    seen = std::move(now);
    std::sort(requests.begin(), requests.end(),
              [](const Request& a, const Request& b) { return a->id() < b->id(); });
    return requests;
}

QueueFolder::Seen QueueFolder::read_request(int folder, const std::string& path,
                                            const std::string& name, const struct stat& st) const
{
    // Git cannot give a file this mode, so a request that came with a commit does not run.
    if (S_ISREG(st.st_mode) && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return {files::stamp_of(st), nullptr,
                "Others can read it, so autoexec has not written it; to run it: chmod 600."};
    struct stat root {};
    (void)::stat(project_root_.c_str(), &root);
    const auto found = files::read_trusted(folder, name, protocol::queue_file_limit,
                                           {(project_root_ / path / name).string(), root.st_uid});
    Seen seen{found.stamp, nullptr, found.problem};
    if (found.state != FoundFile::State::present) return seen;
    auto request = protocol::parse_queued(found.text, seen.problem);
    if (!request) return seen;
    if (request->id() == id_in(name))
        seen.request = std::make_shared<const protocol::QueuedRequest>(*std::move(request));
    else
        seen.problem = "It is not named after its id.";
    return seen;
}

Request QueueFolder::read(const char* path, const std::string& id) const
{
    error_code ec;
    struct stat st {};
    const auto folder = folder_in(project_root_, path).open(ec);
    const auto name = file_of(id);
    if (!folder || ::fstatat(folder.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
        return nullptr;
    return read_request(folder.get(), path, name, st).request;
}

std::vector<std::string> QueueFolder::list_ended() const
{
    return sorted_ids(project_root_, layout::ended_requests);
}

std::vector<std::string> QueueFolder::list_waiting_ids() const
{
    return sorted_ids(project_root_, layout::queue);
}

RequestState QueueFolder::state_of(const std::string& id) const
{
    const auto name = file_of(id);
    if (exists(project_root_, layout::queue, name)) return RequestState::waiting;
    const auto has_ended = [&] { return exists(project_root_, layout::ended_requests, name); };
    if (has_ended()) return RequestState::ended;
    if (exists(project_root_, layout::started_requests, name)) return RequestState::started;
    return has_ended() ? RequestState::ended : RequestState::absent;
}

bool QueueFolder::start(const std::string& id) const
{
    return move(project_root_, file_of(id), layout::queue, layout::started_requests);
}

void QueueFolder::put_back(const std::string& id) const
{
    (void)move(project_root_, file_of(id), layout::started_requests, layout::queue);
}

error_code QueueFolder::update_started(const protocol::QueuedRequest& request) const
{
    error_code ec;
    const auto folder = folder_in(project_root_, layout::started_requests).create(ec);
    if (!folder) return ec;
    return files::replace_file(folder.get(), file_of(request.id()),
                               protocol::format_queued(request), 0600, Durability::process);
}

// One rename, so that no engine starts what is being cancelled. Until it is replaced, the request
// in the place of a result means just that.
bool QueueFolder::cancel_waiting(const std::string& id) const
{
    if (!move(project_root_, file_of(id), layout::queue, layout::ended_requests)) return false;
    finish_cancellation(id);
    return true;
}

bool QueueFolder::end_waiting(const protocol::QueuedResult& result) const
{
    return move(project_root_, file_of(result.id), layout::queue, layout::ended_requests) &&
           !put_result(result);
}

bool QueueFolder::leave_started(const std::string& id) const
{
    error_code ec;
    const auto folder = folder_in(project_root_, layout::started_requests).open(ec);
    if (!folder) return false;
    (void)files::remove_file(folder.get(), file_of(id));
    return ::unlinkat(folder.get(), file_of(id, cancel_suffix).c_str(), 0) == 0;
}

void QueueFolder::finish_cancellation(const std::string& id) const
{
    std::string ignored;
    auto ended = result(id, ignored);
    if (!ended || ended->ended_at) return;
    ended->ended_at = std::chrono::system_clock::now();
    (void)put_result(*ended);
}

error_code QueueFolder::request_cancel(const std::string& id) const
{
    error_code ec;
    const auto folder = folder_in(project_root_, layout::started_requests).create(ec);
    if (!folder) return ec;
    ec = files::create_file(folder.get(), file_of(id, cancel_suffix), {}, 0600);
    return ec == boost::system::errc::file_exists ? error_code() : ec;
}

std::vector<std::string> QueueFolder::consume_cancel_requests() const
{
    std::vector<std::string> ids;
    error_code ec;
    const auto folder = folder_in(project_root_, layout::started_requests).open(ec);
    if (!folder) return ids;
    for (const auto& name : files::list_folder(folder.get(), max_queue_names))
        if (auto id = id_in(name, cancel_suffix);
            !id.empty() && ::unlinkat(folder.get(), name.c_str(), 0) == 0)
            ids.push_back(std::move(id));
    return ids;
}

bool QueueFolder::is_interrupted(const std::string& id) const
{
    return exists(project_root_, layout::started_requests, file_of(id, interrupted_suffix));
}

error_code QueueFolder::put_result(const protocol::QueuedResult& result) const
{
    error_code ec;
    const auto folder = folder_in(project_root_, layout::ended_requests).create(ec);
    if (!folder) return ec;
    auto text = protocol::format_queued_result(result);
    if (text.size() > protocol::queue_file_limit) {  // no reader would accept it
        auto shorter = result;
        shorter.request.clear();
        text = protocol::format_queued_result(shorter);
    }
    return files::replace_file(folder.get(), file_of(result.id), text, 0600, Durability::process);
}

// The request is first: without it, nothing else counts.
void QueueFolder::remove_started(const std::string& id) const
{
    error_code ec;
    const auto folder = folder_in(project_root_, layout::started_requests).open(ec);
    if (!folder) return;
    for (const auto suffix : {request_suffix, cancel_suffix, interrupted_suffix})
        (void)files::remove_file(folder.get(), file_of(id, suffix));
}

std::optional<protocol::QueuedResult> QueueFolder::result(const std::string& id,
                                                          std::string& problem) const
{
    error_code ec;
    const auto folder = folder_in(project_root_, layout::ended_requests).open(ec);
    if (!folder) return std::nullopt;
    const auto found =
        files::read_regular(folder.get(), file_of(id), protocol::queue_file_limit, {});
    problem = found.problem;
    if (found.state != FoundFile::State::present) return std::nullopt;
    auto read = protocol::parse_queued_result(found.text, problem);
    std::string ignored;
    if (!read)
        if (const auto request = protocol::parse_queued(found.text, ignored))
            read = cancelled_result(*request);
    if (read && read->id == id) return read;
    if (read) problem = "It is not named after its id.";
    return std::nullopt;
}

error_code QueueFolder::keep(const protocol::QueuedRequest& request) const
{
    const auto text = protocol::format_queued(request);
    error_code ec;
    if (has_secret(request) || text.size() > protocol::queue_file_limit) return ec;
    const auto folder = folder_in(project_root_, layout::kept_requests).create(ec);
    if (!folder) return ec;
    return files::replace_file(folder.get(), file_of(request.id()), text, 0600,
                               Durability::process);
}

Request QueueFolder::kept(const std::string& id) const
{
    return read(layout::kept_requests, id);
}

// Ids are in the order of time, so that the first ones are the oldest.
void QueueFolder::sweep_kept() const
{
    error_code ec;
    const auto folder = folder_in(project_root_, layout::kept_requests).open(ec);
    if (!folder) return;
    for (const auto& id : sorted_ids(project_root_, layout::kept_requests)) {
        if (!is_outdated(folder.get(), file_of(id))) break;
        (void)files::remove_file(folder.get(), file_of(id));
    }
}

void QueueFolder::sweep() const
{
    for (const auto* const path :
         {layout::queue, layout::started_requests, layout::ended_requests, layout::kept_requests})
        sweep_temporaries_in(project_root_, path);
    sweep_notes(project_root_);
    sweep_results(project_root_);
    for (const auto& id : list_ended()) finish_cancellation(id);
}

void keep_request(protocol::QueuedResult& result, const protocol::QueuedRequest& request)
{
    if (!has_secret(request)) result.request = protocol::json_of_request(request);
}

ExecutionResult failed_result(const protocol::QueuedRequest& request, CommandError error)
{
    ExecutionResult result;
    result.ids() = request.request.ids();
    result.command = Redactor().redact(request.request.command);
    result.worktree = request.request.worktree;
    result.error = std::move(error);
    return result;
}

ExecutionResult cancelled_execution(const protocol::QueuedRequest& request)
{
    auto result = failed_result(
        request, {"The command was cancelled before it was started.", "cancelled", false, 0});
    result.status = ExecutionStatus::cancelled;
    return result;
}

}  // namespace autoexec::queue
