#include "cli/session/unclaimed_notice.hpp"

#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "records/agent_presence.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

namespace autoexec::cli {
namespace {

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

}  // namespace

UnclaimedNotice::UnclaimedNotice(std::filesystem::path root) : root_(std::move(root)) {}

void UnclaimedNotice::publish(const Event& event)
{
    if (event.type == EventType::status_updated) shown_ = false;
    if (event.type != EventType::command_unclaimed || shown_) return;
    shown_ = true;
    print_message("No agent has claimed the command in {} for 10 s. {}.\n",
                  text::printable(shown_path(event.worktree)), advice(root_));
}

}  // namespace autoexec::cli
