#include "protocol/layout.hpp"
#include "protocol/question_format.hpp"
#include "protocol/queue_file.hpp"
#include "records/log_file.hpp"
#include "records/running.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

/// Requests of other processes to executors: to cancel an attempt, and answers; and notes for the
/// engine of the queue.
namespace autoexec::records {
namespace {

using files::UniqueFd;
namespace fs = std::filesystem;

constexpr std::size_t max_listed_requests = 100'000;

Folder requests_folder(const fs::path& project_root)
{
    return {project_root, layout::cancel_requests};
}

Folder answers_folder(const fs::path& project_root)
{
    return {project_root, layout::answers};
}

}  // namespace

std::vector<fs::path> request_folders(const fs::path& project_root)
{
    return {project_root / layout::running, requests_folder(project_root).path(),
            answers_folder(project_root).path()};
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

std::vector<std::string> find_cancel_requests(const fs::path& project_root)
{
    error_code ec;
    const auto requests = requests_folder(project_root).open(ec);
    return requests ? files::list_folder(requests.get(), max_listed_requests)
                    : std::vector<std::string>();
}

error_code put_answer(const std::filesystem::path& project_root, const std::string& attempt_id,
                      const std::string& text)
{
    error_code ec;
    // Tried twice, like a request to cancel.
    for (int tries = 0; tries < 2; ++tries) {
        const auto folder = answers_folder(project_root).create(ec);
        if (!folder) return ec;
        // The first one counts: a person's answer is not replaced by another's.
        ec = files::create_whole_file(folder.get(), text::file_name_of(attempt_id), text);
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

void note_interrupted(const fs::path& project_root, const std::string& execution_id)
{
    if (!protocol::is_queue_id(execution_id)) return;
    error_code ec;
    const auto started = Folder{project_root, layout::started_requests}.open(ec);
    const auto request = execution_id + ".json";
    if (started && ::faccessat(started.get(), request.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        (void)files::create_file(started.get(), execution_id + protocol::interrupted_suffix, {},
                                 0600);
}

bool has_answers(const std::filesystem::path& project_root)
{
    return ::access(answers_folder(project_root).path().c_str(), F_OK) == 0;
}

}  // namespace autoexec::records
