#include "cli/session/notices.hpp"

#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "files/safe_files.hpp"
#include "records/agent_presence.hpp"
#include "records/log_file.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <vector>

namespace autoexec::cli {
namespace {

error_code find_log(const records::Folder& place, const std::string& name)
{
    error_code ec;
    const auto folder = place.open(ec);
    if (ec) return ec;
    const auto file = records::Folder::open_log(folder.get(), name, ec);
    struct stat st {};
    if (!ec && ::fstat(file.get(), &st) == 0 && st.st_size == 0)
        ec = make_error_code(boost::system::errc::no_message_available);
    return ec;
}

std::string reason_of(error_code ec)
{
    if (ec == boost::system::errc::no_such_file_or_directory) return "it was removed";
    if (ec == boost::system::errc::no_message_available) return "it is empty";
    const bool by_link = ec == errc::unsafe_path ||
                         ec == boost::system::errc::too_many_symbolic_link_levels ||
                         ec == boost::system::errc::not_a_directory;
    if (by_link) return "its path contains a link or a file";
    return ec.message();
}

std::string words_to_start_one(const std::filesystem::path& root)
{
    std::vector<std::string> words = {"autoexec", "agent"};
    std::error_code ec;
    if (std::filesystem::current_path(ec) != root || ec)
        words.insert(words.end(), {"--project", root.string()});
    return text::printable(text::quote_words(words));
}

std::string advice(const std::filesystem::path& root)
{
    std::string running;
    for (const auto& [record, alive] : records::list_agents(root))
        if (alive) running += (running.empty() ? "" : ", ") + records::describe(record);
    if (running.empty())
        return fmt::format(
            "No autoexec agent is running for this project; start one in another "
            "terminal: {}",
            words_to_start_one(root));
    return fmt::format(
        "Running: {}. It may be busy, or not watch this worktree; start another one "
        "with: {} --worktree DIR",
        running, words_to_start_one(root));
}

class PauseNotice final : public EventSink {
public:
    void publish(const Event& event) override
    {
        if (event.type == EventType::starts_resumed) print_message("Commands start again.\n");
        if (event.type != EventType::starts_paused) return;
        const auto* const reason = event.details.if_contains("reason");
        print_message("No command starts for now: {}.\n",
                      reason != nullptr && reason->is_string() ? reason->get_string().c_str() : "");
    }
};

}  // namespace

std::shared_ptr<EventSink> pause_notice()
{
    return std::make_shared<PauseNotice>();
}

std::string lost_output(const std::filesystem::path& root, const ExecutionResult& result)
{
    if (result.output.empty() || result.attempt_id.empty()) return {};
    const auto place = records::Folder::of({}, root, "output");
    const auto name = text::file_name_of(result.attempt_id) + ".log";
    const auto ec = find_log(place, name);
    if (!ec || files::is_resource_shortage(ec)) return {};
    return fmt::format(
        "The command's output is lost: {}: {}. Commands must not remove or replace {}.",
        (place.path() / name).string(), reason_of(ec), place.path().string());
}

void UnclaimedNotice::publish(const Event& event)
{
    if (event.type == EventType::status_updated) shown_ = false;
    if (event.type != EventType::command_unclaimed || shown_) return;
    shown_ = true;
    print_message("No agent has claimed the command in {} for 10 s. {}.\n",
                  text::printable(shown_path(event.worktree)), advice(root_));
}

}  // namespace autoexec::cli
